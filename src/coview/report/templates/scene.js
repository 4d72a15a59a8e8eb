// The 3D scene is a document of its own, kept as base64 text; it follows the reader's choice of light or dark.
const frame = document.getElementById("scene-frame");
if (frame) {
  const coded = document.getElementById("scene-data").textContent;
  const page = new TextDecoder().decode(Uint8Array.from(atob(coded), c => c.charCodeAt(0)));
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  frame.srcdoc = dark ? page.replace("{darkMode:false}", "{darkMode:true}") : page;
}
