flat in vec4 light;
flat in vec3 lamp;
flat in vec4 garment, garment2, bare, style;
flat in int is_head;
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
  vec3 cloth = mix(garment.rgb, garment2.rgb, pattern(style.x, vec2(local.x + local.y, local.z), style.y, style.z));
  vec3 base = is_head == 1 ? head(unit) : share > style.w ? bare.rgb : cloth;
  float lit = max(dot(normalize(normal), light.xyz), 0.0);
  colour = vec4(base * (light.w + (1.0 - light.w) * lit * lamp), 1.0);
}
