// The whole picture, behind everything.
in vec2 corner;  // 0 or 1
flat out int tile;
out vec2 place;  // pixel
void main() {
  tile = gl_InstanceID;
  place = corner * tile_size - 0.5;
  gl_Position = vec4(2.0 * (tile_origin(tile) + corner * tile_size) / atlas_size - 1.0, 0.999999, 1.0);
}
