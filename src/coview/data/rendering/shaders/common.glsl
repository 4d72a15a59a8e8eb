#version 330
// One row of `tiles` per picture: see Tile in renderer.py for what its texels hold.
uniform sampler2D tiles;
uniform sampler2DArray patterns;
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

// How much of the second colour there is; `at` in metres, `frequency` in periods per metre. Kinds: textures.py.
// A texture, because llvmpipe works through every branch of a shader, taken or not.
float pattern(float kind, vec2 at, float frequency, float phase) {
  return texture(patterns, vec3((at * frequency + phase) / 8.0, kind)).r;
}
