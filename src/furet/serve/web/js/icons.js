/** Icons as lines on a grid of 24. */

const PATHS = {
  menu: "M4 7h16M4 12h11M4 17h16",
  plus: "M12 5v14M5 12h14",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M7.5 7.5h9v9h-9z",
  copy: "M9 9h10v11H9zM15 9V4H5v11h4",
  edit: "M14 6l4 4L8.5 19.5 4 20l.5-4.5zM12.5 7.5l4 4",
  again: "M19.5 12a7.5 7.5 0 1 1-2.2-5.3L20 9M20 4v5h-5",
  go: "M5 12h14M13 6l6 6-6 6",
  left: "M14 7l-5 5 5 5",
  right: "M10 7l5 5-5 5",
  down: "M6 10l6 6 6-6",
  bin: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
  close: "M6 6l12 12M18 6L6 18",
  more: "M5.500 12a.700.700 0 1 0 1.400 0a.700.700 0 1 0-1.400 0M11.300 12a.700.700 0 1 0 1.400 0a.700.700 0 1 0-1.400 0M17.100 12a.700.700 0 1 0 1.400 0a.700.700 0 1 0-1.400 0",
  sliders: "M4 8h9M17 8h3M15 5.5v5M4 16h3M11 16h9M9 13.5v5",
  models: "M12 3.5l8 4-8 4-8-4zM4 12l8 4 8-4M4 16.3l8 4 8-4",
  group: "M9 11a3.2 3.2 0 1 0 0-6.4A3.2 3.2 0 0 0 9 11zM3.5 19c0-3.2 2.4-5.2 5.5-5.2s5.5 2 5.5 5.2M16 11a2.7 2.7 0 1 0-.6-5.3M16.5 14c2.500 0 4 1.700 4 4.300",
  save: "M12 4v11M7 10.500l5 5 5-5M5 20h14",
  load: "M12 15.500V4.500M7 9l5-5 5 5M5 20h14",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 3v2M12 19v2M3 12h2M19 12h2M5.600 5.600L7 7M17 17l1.400 1.400M5.600 18.400L7 17M17 7l1.400-1.400",
  keys: "M4 6.500h16v11H4zM7.500 10h.01M11 10h.01M14.500 10h.01M8 14h8",
  pin: "M9 4h6l-1 6 3 3H7l3-3zM12 13v7",
  talk: "M4 5h13v9H9l-4 3.500V14H4zM19.500 9v9H19v3l-3.500-3H10",
  pen: "M12 5H5v14h14v-7M18.500 3.500l2 2L12 14l-2.700.700.700-2.700z",
};

/** @param {keyof typeof PATHS} name @returns {SVGElement} */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "i");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
