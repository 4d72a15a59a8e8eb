// What lens and sensor make of the picture: blur, gain, tint, gamma, noise.
uniform sampler2D scene;
flat in int tile;
in vec2 place;
out vec4 colour;

void main() {
  ivec2 origin = ivec2(tile_origin(tile)), here = ivec2(round(place)), last = ivec2(tile_size) - 1;
  vec4 optics = tile_field(tile, 13), tint = tile_field(tile, 14);
  float gain = tile_field(tile, 8).w;
  vec3 found = texelFetch(scene, origin + here, 0).rgb;
  if (optics.z > 0.05) {
    float side = exp(-0.5 / (optics.z * optics.z)), corner = side * side;
    vec3 straight = vec3(0.0), across = vec3(0.0);
    for (int k = -1; k <= 1; k += 2) {
      straight += texelFetch(scene, origin + clamp(here + ivec2(k, 0), ivec2(0), last), 0).rgb;
      straight += texelFetch(scene, origin + clamp(here + ivec2(0, k), ivec2(0), last), 0).rgb;
      across += texelFetch(scene, origin + clamp(here + ivec2(k, k), ivec2(0), last), 0).rgb;
      across += texelFetch(scene, origin + clamp(here + ivec2(k, -k), ivec2(0), last), 0).rgb;
    }
    found = (found + side * straight + corner * across) / (1.0 + 4.0 * side + 4.0 * corner);
  }
  found = pow(clamp(found * gain * tint.rgb, 0.0, 1.0), vec3(tint.w));
  uint seed = uint(tile_field(tile, 3).w);
  vec3 noise;  // the sum of a random number's four bytes is near enough to a Gaussian
  for (int i = 0; i < 3; i++) {
    uint drawn = hashed_cell(ivec3(here, i), seed);
    noise[i] = float((drawn & 255u) + ((drawn >> 8) & 255u) + ((drawn >> 16) & 255u) + (drawn >> 24)) - 510.0;
  }
  colour = vec4(found + optics.w * noise / 147.8, 1.0);
}
