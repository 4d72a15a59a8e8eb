in vec3 normal, rest;
in float share;
flat in vec4 garment, garment2, bare;
flat in vec4 light;
flat in vec3 lamp;
out vec4 colour;

void main() {
  vec3 cloth = mix(garment.rgb, garment2.rgb, pattern(garment.w, rest.xz, garment2.w, 0.3));
  vec3 base = share > bare.w ? bare.rgb : cloth;
  float lit = max(dot(normalize(normal), light.xyz), 0.0);
  colour = vec4(base * (light.w + (1.0 - light.w) * lit * lamp), 1.0);
}
