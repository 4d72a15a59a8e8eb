in vec3 position;    // world
in vec3 normal_in;   // world
in vec4 rest_worn;   // where it is at rest, for the patterns | which garment
in float along;      // its place on its limb, 0 to 1
in float tile_of;    // per picture
out float gl_ClipDistance[4];
uniform vec4 palette[27];  // per garment: colour | kind, second colour | periods per metre, skin | share covered
out vec3 normal, rest;
out float share;
flat out vec4 garment, garment2, bare;
flat out vec4 light;
flat out vec3 lamp;

void main() {
  int tile = int(tile_of), worn = 3 * int(rest_worn.w);
  normal = normal_in; rest = rest_worn.xyz; share = along;
  garment = palette[worn]; garment2 = palette[worn + 1]; bare = palette[worn + 2];
  light = tile_field(tile, 7); lamp = tile_field(tile, 8).rgb;
  vec4 world = vec4(position, 1.0);
  vec3 pixel = vec3(dot(tile_field(tile, 0), world), dot(tile_field(tile, 1), world), dot(tile_field(tile, 2), world));
  gl_Position = atlas_clip(pixel, tile);
  gl_ClipDistance[0] = pixel.x + 0.5 * pixel.z;
  gl_ClipDistance[1] = (tile_size.x - 0.5) * pixel.z - pixel.x;
  gl_ClipDistance[2] = pixel.y + 0.5 * pixel.z;
  gl_ClipDistance[3] = (tile_size.y - 0.5) * pixel.z - pixel.y;
}
