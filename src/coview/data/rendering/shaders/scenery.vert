// The whole picture, behind everything. What is equal all over a picture is fetched here, not per pixel.
in vec2 corner;  // 0 or 1
out vec2 place;  // pixel
out vec3 ray;    // world
flat out vec4 wall1, wall2, floor1, floor2, around;
flat out vec3 centre;
flat out float bright;

void main() {
  int tile = gl_InstanceID;
  place = corner * tile_size - 0.5;
  vec3 pixel = vec3(place, 1.0);
  ray = vec3(dot(tile_field(tile, 4).xyz, pixel), dot(tile_field(tile, 5).xyz, pixel), dot(tile_field(tile, 6).xyz, pixel));
  wall1 = tile_field(tile, 9); wall2 = tile_field(tile, 10);
  floor1 = tile_field(tile, 11); floor2 = tile_field(tile, 12); around = tile_field(tile, 13);
  centre = tile_field(tile, 3).xyz;
  bright = 0.5 + 0.5 * tile_field(tile, 7).w;
  gl_Position = vec4(2.0 * (tile_origin(tile) + corner * tile_size) / atlas_size - 1.0, 0.999999, 1.0);
}
