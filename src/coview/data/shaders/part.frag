flat in int tile;
flat in vec4 garment, garment2, bare, style;
flat in int special;
flat in uint seed;
in vec3 normal, local, unit;
in float share;
out vec4 colour;

vec3 head(vec3 n) {
  vec3 d = normalize(n);
  bool face = d.y > 0.15 && d.z < 0.42;
  vec3 found = face ? bare.rgb : garment.rgb;
  vec2 eye = vec2(abs(d.x) - 0.38, d.z - 0.12);
  if (d.y > 0.0 && dot(eye, eye) < 0.013) found = vec3(0.08);
  if (d.y > 0.0 && abs(d.x) < 0.26 && abs(d.z + 0.45) < 0.05) found = bare.rgb * vec3(0.65, 0.35, 0.35);
  return found;
}

void main() {
  vec4 light = tile_field(tile, 7), tone = tile_field(tile, 8);
  vec3 base;
  if (special == 1) base = head(unit);
  else if (share > style.w) base = bare.rgb;
  else base = mix(garment.rgb, garment2.rgb, pattern(int(style.x), local, style.y, style.z, seed));
  float lit = max(dot(normalize(normal), light.xyz), 0.0);
  colour = vec4(base * (light.w + (1.0 - light.w) * lit * tone.rgb), 1.0);
}
