uniform vec4 palette[27];  // per garment: colour | kind, second colour | periods per metre, skin | share covered
in vec3 normal, rest;
flat in ivec2 tile_worn;
out vec4 colour;

void main() {
  vec4 first = palette[tile_worn.y], second = palette[tile_worn.y + 1], bare = palette[tile_worn.y + 2];
  vec4 light = tile_field(tile_worn.x, 7);
  vec3 cloth = mix(first.rgb, second.rgb, pattern(first.w, rest.xy, second.w, 0.3));
  vec3 base = rest.z > bare.w ? bare.rgb : cloth;
  float lit = max(dot(normalize(normal), light.xyz), 0.0);
  colour = vec4(base * (light.w + (1.0 - light.w) * lit * tile_field(tile_worn.x, 8).rgb), 1.0);
}
