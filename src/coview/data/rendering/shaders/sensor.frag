// What lens and sensor make of the picture: blur, gain, tint, tone curve, noise.
uniform sampler2D scene;
flat in ivec2 low, high;
flat in vec4 optics, tint;
flat in uint seed;
out vec4 colour;

vec3 at(ivec2 pixel) { return texelFetch(scene, clamp(pixel, low, high), 0).rgb; }

void main() {
  ivec2 here = ivec2(gl_FragCoord.xy);
  vec3 straight = at(here + ivec2(1, 0)) + at(here - ivec2(1, 0)) + at(here + ivec2(0, 1)) + at(here - ivec2(0, 1));
  vec3 across = at(here + ivec2(1, 1)) + at(here - ivec2(1, 1)) + at(here + ivec2(1, -1)) + at(here - ivec2(1, -1));
  float side = optics.x;  // weight of a neighbour
  vec3 found = (at(here) + side * straight + side * side * across) / (1.0 + 4.0 * side + 4.0 * side * side);
  found = pow(clamp(found * tint.rgb, 0.0, 1.0), vec3(tint.w));
  vec3 noise;  // the sum of a random number's four bytes is near enough to a Gaussian
  for (int i = 0; i < 3; i++) {
    uint drawn = hashed_cell(ivec3(here - low, i), seed);
    noise[i] = float((drawn & 255u) + ((drawn >> 8) & 255u) + ((drawn >> 16) & 255u) + (drawn >> 24)) - 510.0;
  }
  colour = vec4(found + optics.y * noise / 147.8, 1.0);
}
