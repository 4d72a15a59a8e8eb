#version 330
// One row of `tiles` per picture: see Tile in renderer.py for what its texels hold.
uniform sampler2D tiles;
uniform vec2 tile_size;   // pixels: width, height
uniform vec2 atlas_size;  // pixels
uniform int columns;      // pictures per row of the atlas

vec4 tile_field(int tile, int field) { return texelFetch(tiles, ivec2(field, tile), 0); }

vec2 tile_origin(int tile) { return vec2(tile % columns, tile / columns) * tile_size; }

// Homogeneous pixel of its picture -> clip coordinates of the atlas. Pixel (0, 0) is the centre of the first
// texel, hence the half; rows are drawn bottom up, so that reading the atlas gives the top row first.
vec4 atlas_clip(vec3 pixel, int tile) {
  const float near = 0.05, far = 60.0;
  vec2 place = pixel.xy + (tile_origin(tile) + 0.5) * pixel.z;
  float depth = ((far + near) * pixel.z - 2.0 * far * near) / (far - near);
  return vec4(2.0 * place / atlas_size - pixel.z, depth, pixel.z);
}

uint hashed(uint x) {  // PCG's output permutation on an LCG
  x = x * 747796405u + 2891336453u;
  uint word = ((x >> ((x >> 28) + 4u)) ^ x) * 277803737u;
  return (word >> 22) ^ word;
}

uint hashed_cell(ivec3 at, uint seed) {
  return hashed(uint(at.x) * 0x8da6b343u + uint(at.y) * 0xd8163841u + uint(at.z) * 0xcb1ab31fu + seed * 0x9e3779b9u);
}

float random(ivec3 at, uint seed) { return float(hashed_cell(at, seed) >> 8) / 16777216.0; }

float lattice_noise(vec3 at, uint seed) {  // smooth, in [0, 1]
  ivec3 cell = ivec3(floor(at));
  vec3 f = fract(at);
  f = f * f * (3.0 - 2.0 * f);
  vec4 low = vec4(random(cell, seed), random(cell + ivec3(1, 0, 0), seed), random(cell + ivec3(0, 1, 0), seed),
                  random(cell + ivec3(1, 1, 0), seed));
  cell.z += 1;
  vec4 high = vec4(random(cell, seed), random(cell + ivec3(1, 0, 0), seed), random(cell + ivec3(0, 1, 0), seed),
                   random(cell + ivec3(1, 1, 0), seed));
  vec4 v = mix(low, high, f.z);
  return mix(mix(v.x, v.y, f.x), mix(v.z, v.w, f.x), f.y);
}

// 0 plain, 1 rings across, 2 checks, 3 noise, 4 stripes along; `at` in metres, `frequency` per metre
float pattern(int kind, vec3 at, float frequency, float phase, uint seed) {
  vec3 p = at * frequency + phase;
  if (kind == 1) return step(0.5, fract(p.z));
  if (kind == 2) return mod(floor(p.x) + floor(p.y) + floor(p.z), 2.0);
  if (kind == 3) return lattice_noise(p, seed);
  if (kind == 4) return step(0.5, fract(p.x));
  return 0.0;
}
