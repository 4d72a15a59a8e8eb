// Poses from one camera beside the multi-view reconstruction: three drawings that turn together.
// World axes, root joint at the origin, z up; millimetres as 16-bit integers, -32768 where not known.
for (const viewer of document.querySelectorAll(".predicted")) {
  const source = viewer.querySelector("script");
  if (!source) continue;
  const told = JSON.parse(source.textContent);
  const canvases = [...viewer.querySelectorAll("canvas")];
  const [slider] = viewer.getElementsByTagName("input");
  const [choice] = viewer.getElementsByTagName("select");
  const [said] = viewer.getElementsByTagName("output");
  const play = viewer.querySelector("[data-play]");
  const joints = told.sides.length;
  const decode = text => new Int16Array(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer);
  const reconstruction = decode(told.reconstruction);
  const predictions = told.cameras.map(camera => decode(camera.points));
  const eye = { azimuth: 0, height: 0.2 };
  let timer = null;

  const pose = (all, frame) => Array.from({ length: joints }, (_, joint) => {
    const at = 3 * (frame * joints + joint);
    return all[at] === -32768 ? null : [all[at] / 1000, all[at + 1] / 1000, all[at + 2] / 1000];
  });

  // Across the screen, up the screen, towards the eye; metres.
  const seen = ([x, y, z]) => {
    const [c, s, d, h] = [Math.cos(eye.azimuth), Math.sin(eye.azimuth), Math.cos(eye.height), Math.sin(eye.height)];
    return [y * c - x * s, z * d - h * (x * c + y * s), d * (x * c + y * s) + h * z];
  };

  const drawPose = (context, place, points, paint, thick) => {
    const bones = told.bones.filter(([a, b]) => points[a] && points[b])
      .map(([a, b]) => ({ from: seen(points[a]), to: seen(points[b]), side: told.sides[b] }));
    bones.sort((a, b) => a.from[2] + a.to[2] - b.from[2] - b.to[2]);
    for (const bone of bones) {
      context.strokeStyle = paint(bone.side);
      context.lineWidth = thick;
      context.beginPath();
      context.moveTo(...place(bone.from));
      context.lineTo(...place(bone.to));
      context.stroke();
    }
  };

  const drawFloor = (context, place, camera, colour) => {
    const ring = Array.from({ length: 49 }, (_, k) => [Math.cos(k * Math.PI / 24) / 2, Math.sin(k * Math.PI / 24) / 2, told.floor]);
    const ray = [0.5, 0.75].map(far => [far * Math.cos(camera.azimuth), far * Math.sin(camera.azimuth), told.floor]);
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = 1;
    for (const line of [ring, ray]) {
      context.beginPath();
      for (const point of line) context.lineTo(...place(seen(point)));
      context.stroke();
    }
    const [x, y] = place(seen(ray[1]));
    context.textAlign = x > context.canvas.clientWidth / 2 ? "right" : "left";
    context.fillText(camera.name, x, y - 4);
  };

  const draw = () => {
    const style = getComputedStyle(document.documentElement);
    const colour = name => style.getPropertyValue(`--${name}`).trim();
    const camera = told.cameras[choice.selectedIndex], frame = Number(slider.value);
    const both = [pose(reconstruction, frame), pose(predictions[choice.selectedIndex], frame)];
    canvases.forEach((canvas, panel) => {
      const context = canvas.getContext("2d"), fine = window.devicePixelRatio || 1;
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      canvas.width = width * fine;
      canvas.height = height * fine;
      context.scale(fine, fine);
      context.lineCap = "round";
      context.font = "12px system-ui, sans-serif";
      const size = Math.min(width, height) / (2.3 * told.reach);
      const place = ([x, y]) => [width / 2 + size * x, height / 2 - size * (y - told.middle)];
      drawFloor(context, place, camera, colour("dim"));
      if (panel === 2) {
        context.globalAlpha = 0.45;
        drawPose(context, place, both[0], () => colour("dim"), 9);
        context.globalAlpha = 1;
      }
      drawPose(context, place, both[panel === 0 ? 0 : 1], side => colour(side), 4);
    });
    const error = camera.errors[frame];
    said.textContent = `frame ${told.frames[frame]}: ` + (error === null ? "not known" : `${error} mm`);
  };

  const look = (turn, height) => {
    eye.azimuth = told.cameras[choice.selectedIndex].azimuth + turn;
    eye.height = height;
    draw();
  };
  for (const button of viewer.querySelectorAll("[data-turn]"))
    button.onclick = () => look(Number(button.dataset.turn), Number(button.dataset.height));
  for (const canvas of canvases) {
    canvas.onpointerdown = event => canvas.setPointerCapture(event.pointerId);
    canvas.onpointermove = event => {
      if (!canvas.hasPointerCapture(event.pointerId)) return;
      eye.azimuth -= event.movementX / 120;
      eye.height = Math.max(-1.5, Math.min(1.5, eye.height + event.movementY / 120));
      draw();
    };
  }
  play.onclick = () => {
    play.textContent = timer === null ? "Stop" : "Play";
    if (timer !== null) { clearInterval(timer); timer = null; return; }
    timer = setInterval(() => {
      slider.value = (Number(slider.value) + 1) % told.frames.length;
      draw();
    }, 1000 * told.seconds);
  };
  slider.oninput = draw;
  choice.onchange = () => look(1.05, 0.2);
  new ResizeObserver(draw).observe(viewer);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  look(1.05, 0.2);
}
