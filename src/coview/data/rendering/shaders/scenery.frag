in vec2 place;
in vec3 ray;
flat in vec4 wall1, wall2, floor1, floor2, around;
flat in vec3 centre;
flat in float bright;
out vec4 colour;

void main() {
  vec2 at = place / tile_size.x;
  float slope = clamp(dot(at, around.zw), 0.0, 1.0);
  vec3 wall = mix(wall1.rgb, wall2.rgb, wall1.w < 0.5 ? slope : pattern(wall1.w, at, wall2.w, slope));
  float reach = -centre.z / min(ray.z, -1e-5);
  vec2 ground = centre.xy + reach * ray.xy, away = ground - around.xy;
  vec3 floor = mix(floor1.rgb, floor2.rgb, pattern(floor1.w, ground, floor2.w, 0.3));
  floor *= 1.0 - 0.55 * exp(-dot(away, away) / 0.09);  // the shadow of who stands there
  bool below = floor1.w >= 0.0 && ray.z < 0.0 && reach * length(ray) < 14.0;
  colour = vec4((below ? floor : wall) * bright, 1.0);
}
