flat in int tile;
in vec2 place;
out vec4 colour;

vec3 wall(vec2 at, vec4 first, vec4 second, uint seed) {
  int kind = int(first.w);
  float turn = 6.2832 * random(ivec3(1, 2, 3), seed);
  float along = dot(at - 0.5, vec2(cos(turn), sin(turn))) + 0.5;
  vec3 found = mix(first.rgb, second.rgb, clamp(along, 0.0, 1.0));
  if (kind == 1) found = mix(first.rgb, second.rgb, lattice_noise(vec3(at * second.w, 0.0), seed));
  if (kind == 2) found = mix(first.rgb, second.rgb, smoothstep(0.35, 0.65, lattice_noise(vec3(at * second.w, 7.0), seed)));
  if (kind == 3) found = mix(first.rgb, second.rgb, pattern(2, vec3(at, 0.1), second.w, 0.0, seed));
  int boxes = int(5.0 * random(ivec3(4, 5, 6), seed));
  for (int i = 0; i < boxes; i++) {
    vec2 middle = vec2(random(ivec3(i, 0, 0), seed), random(ivec3(i, 1, 0), seed));
    vec2 half_size = 0.03 + 0.22 * vec2(random(ivec3(i, 2, 0), seed), random(ivec3(i, 3, 0), seed));
    vec3 paint = vec3(random(ivec3(i, 4, 0), seed), random(ivec3(i, 5, 0), seed), random(ivec3(i, 6, 0), seed));
    vec2 away = abs(at - middle) / half_size;
    float inside = random(ivec3(i, 7, 0), seed) < 0.7 ? max(away.x, away.y) : length(away);
    if (inside < 1.0) found = mix(paint, found, 0.25);
  }
  return found;
}

void main() {
  vec4 centre = tile_field(tile, 3), first = tile_field(tile, 9), second = tile_field(tile, 10);
  uint seed = uint(centre.w);
  vec3 pixel = vec3(place, 1.0);
  vec3 ray = vec3(dot(tile_field(tile, 4).xyz, pixel), dot(tile_field(tile, 5).xyz, pixel), dot(tile_field(tile, 6).xyz, pixel));
  vec3 found = wall(place / tile_size, first, second, seed);
  vec4 floor1 = tile_field(tile, 11), floor2 = tile_field(tile, 12);
  float reach = ray.z < 0.0 ? -centre.z / ray.z : 1e9;
  if (floor1.w >= 0.0 && reach * length(ray) < 14.0) {
    vec3 ground = centre.xyz + reach * ray;
    found = mix(floor1.rgb, floor2.rgb, pattern(int(floor1.w), vec3(ground.xy, 0.2), floor2.w, 0.3, seed));
    vec2 away = ground.xy - tile_field(tile, 13).xy;
    found *= 1.0 - 0.55 * exp(-dot(away, away) / 0.09);
  }
  vec4 light = tile_field(tile, 7);
  colour = vec4(found * (0.5 + 0.5 * light.w), 1.0);
}
