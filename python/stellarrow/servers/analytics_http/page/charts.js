// Charts with uPlot, in the page's colours, as wide as what holds them.
import { h } from "./dom.js";
import { compact } from "./format.js";

const HEIGHT = 220;
const COLOURS = ["--first", "--second", "--third"];

const colour = (name) => {
  // A canvas takes no light-dark(): ask for the colour as it comes out.
  const probe = h("span", { style: { color: `var(${name})` } });
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
};

/**
 * A chart of series over ledgers or times. `series` is a list of {name, kind: "line" | "bars"}; `x` is "ledger" or
 * "time"; `even` gives each x the same room, however far the ledgers are apart. Returns {element, draw(columns), end()}; columns are x and one array a series.
 */
export function chart({ label, series, x = "ledger", even = false, write = compact }) {
  const element = h("div", { class: "chart", role: "img", "aria-label": label });
  let plot = null;
  let held = null;

  function options() {
    const dim = colour("--dim");
    const edge = colour("--edge");
    const axis = { stroke: dim, grid: { stroke: edge, width: 1 }, ticks: { stroke: edge }, font: "12px system-ui" };
    return {
      width: Math.max(200, element.clientWidth),
      height: HEIGHT,
      scales: { x: { time: x === "time", ...(even ? { distr: 2 } : {}) }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.05 : 1] } },
      cursor: { points: { size: 7 }, drag: { x: false, y: false } },
      legend: { live: true },
      axes: [
        { ...axis, values: x === "time" ? undefined : (_, values) => values.map((one) => (one % 1 ? "" : one.toLocaleString("en"))), space: 90 },
        { ...axis, size: 56, values: (_, values) => values.map(write) },
      ],
      series: [
        x === "time" ? { label: "time" } : { label: "ledger", value: (_, value) => (value === null ? "—" : value.toLocaleString("en")) },
        ...series.map((one, place) => {
          const stroke = colour(COLOURS[place % COLOURS.length]);
          const bars = one.kind === "bars" ? { paths: globalThis.uPlot.paths.bars({ size: [0.8, 40] }), fill: stroke } : {};
          return {
            label: one.name, stroke, width: one.kind === "bars" ? 0 : 1.6, points: { show: false }, ...bars,
            value: (_, value) => (value === null || value === undefined ? "—" : write(value)),
          };
        }),
      ],
    };
  }

  function make() {
    plot?.destroy();
    plot = held && element.isConnected ? new globalThis.uPlot(options(), held, element) : null;
    rest();
  }

  const sizes = new ResizeObserver(() => {
    if (!plot) make();
    else if (Math.abs(plot.width - element.clientWidth) > 1) plot.setSize({ width: Math.max(200, element.clientWidth), height: HEIGHT });
  });
  sizes.observe(element);
  addEventListener("stellarrow-theme", make);

  // Where nobody points, the legend shows the last values.
  const rest = () => setTimeout(() => plot?.setLegend({ idx: held[0].length - 1 }));
  element.addEventListener("mouseleave", rest);

  return {
    element,
    draw(columns) {
      held = columns;
      if (plot) plot.setData(columns);
      else make();
      rest();
    },
    end() {
      sizes.disconnect();
      removeEventListener("stellarrow-theme", make);
      plot?.destroy();
      plot = null;
    },
  };
}
