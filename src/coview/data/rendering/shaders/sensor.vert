in vec2 corner;  // 0 or 1
flat out ivec2 low, high;  // first and last pixel of the picture, in the atlas
flat out vec4 optics, tint;
flat out uint seed;

void main() {
  int tile = gl_InstanceID;
  low = ivec2(tile_origin(tile));
  high = low + ivec2(tile_size) - 1;
  optics = tile_field(tile, 15);
  tint = tile_field(tile, 14);
  tint.rgb *= tile_field(tile, 8).w;
  seed = uint(tile_field(tile, 3).w);
  gl_Position = vec4(2.0 * (tile_origin(tile) + corner * tile_size) / atlas_size - 1.0, 0.0, 1.0);
}
