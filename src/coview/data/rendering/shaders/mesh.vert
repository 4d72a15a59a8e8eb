in vec3 position;    // world
in vec3 normal_in;   // world
in vec4 rest_worn;   // where it is at rest, for the patterns | which garment
in float along;      // its place on its limb, 0 to 1
in float tile_of;    // per picture
out vec3 normal;
out vec3 rest;       // at rest: across, up, and its place on the limb
flat out ivec2 tile_worn;  // few values per triangle: there are many triangles
out float gl_ClipDistance[4];

void main() {
  int tile = int(tile_of);
  tile_worn = ivec2(tile, 3 * int(rest_worn.w));
  normal = normal_in;
  rest = vec3(rest_worn.xz, along);
  vec4 world = vec4(position, 1.0);
  vec3 pixel = vec3(dot(tile_field(tile, 0), world), dot(tile_field(tile, 1), world), dot(tile_field(tile, 2), world));
  gl_Position = atlas_clip(pixel, tile);
  gl_ClipDistance[0] = pixel.x + 0.5 * pixel.z;
  gl_ClipDistance[1] = (tile_size.x - 0.5) * pixel.z - pixel.x;
  gl_ClipDistance[2] = pixel.y + 0.5 * pixel.z;
  gl_ClipDistance[3] = (tile_size.y - 0.5) * pixel.z - pixel.y;
}
