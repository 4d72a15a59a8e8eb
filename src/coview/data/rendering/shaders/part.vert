// A tapered capsule, an ellipsoid or a box: a unit form stretched between two ends.
in vec3 form;       // along side, front and axis; unit sphere or box corner
in vec3 form_normal;
in float end;       // 0: at the first end, 1: at the second
in vec4 first_tile;      // first end, metres, world | number of the picture
in vec4 second_cut;      // second end | share of the length that is garment, the rest is skin
in vec4 side_kind;       // side axis | kind of pattern
in vec4 radii;           // first end: side, front | second end: side, front
in vec4 caps_pattern;    // how far the ends bulge, first and second | frequency | phase
in vec4 colour_head;  // colour | 1 for a head
in vec4 second_colour;   // second colour of the pattern
in vec4 skin;            // colour of what the garment leaves bare

flat out vec4 light;  // direction, ambient share
flat out vec3 lamp;   // colour
flat out vec4 garment, garment2, bare, style;  // style: kind, frequency, phase, cut
flat out int is_head;
out vec3 normal;   // world
out vec3 local;    // metres along side, front, axis
out vec3 unit;     // the form's own direction
out float share;   // of the length
out float gl_ClipDistance[4];

void main() {
  int tile = int(first_tile.w);
  light = tile_field(tile, 7); lamp = tile_field(tile, 8).rgb;
  vec3 along = second_cut.xyz - first_tile.xyz;
  float span = max(length(along), 1e-6);
  vec3 axis = along / span;
  vec3 side = normalize(side_kind.xyz - axis * dot(axis, side_kind.xyz));
  vec3 front = cross(side, axis);
  vec3 r = end < 0.5 ? vec3(radii.xy, caps_pattern.x) : vec3(radii.zw, caps_pattern.y);
  vec3 offset = form * r;
  vec3 place = first_tile.xyz + along * end + mat3(side, front, axis) * offset;
  normal = mat3(side, front, axis) * (form_normal / max(r, 1e-4) * min(r.x, r.y));
  local = vec3(offset.xy, offset.z + span * end);
  unit = form;
  share = local.z / span;
  garment = colour_head; garment2 = second_colour; bare = skin;
  style = vec4(side_kind.w, caps_pattern.zw, second_cut.w);
  is_head = int(colour_head.w);
  vec4 world = vec4(place, 1.0);
  vec3 pixel = vec3(dot(tile_field(tile, 0), world), dot(tile_field(tile, 1), world), dot(tile_field(tile, 2), world));
  gl_Position = atlas_clip(pixel, tile);
  gl_ClipDistance[0] = pixel.x + 0.5 * pixel.z;
  gl_ClipDistance[1] = (tile_size.x - 0.5) * pixel.z - pixel.x;
  gl_ClipDistance[2] = pixel.y + 0.5 * pixel.z;
  gl_ClipDistance[3] = (tile_size.y - 0.5) * pixel.z - pixel.y;
}
