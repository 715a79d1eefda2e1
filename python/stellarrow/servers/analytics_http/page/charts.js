// Charts with uPlot, in the page's colours, as wide as what holds them.
import { h } from "./dom.js";
import { compact, time } from "./format.js";

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

// What is to be drawn anew: all of it in one frame, and nothing while nobody sees the page.
const due = new Set();
let frame = 0;

function drawSoon(one) {
  due.add(one);
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    const now = [...due];
    due.clear();
    for (const draw of now) draw();
  });
}

const FEW = 800; // points that every width can show
const MANY = 4; // points that one pixel shows at most: the first, the lowest, the highest, the last

const DAY = 86_400;

/** Times of an axis as all other times here are written: in UTC, the day where it begins. */
function inUtc(_, moments) {
  let day = "";
  return moments.map((one) => {
    const [date, clock] = time(one * 1_000).split(" ");
    const text = one % DAY === 0 && moments[1] - moments[0] >= DAY ? date : date === day ? clock.slice(0, 5) : `${clock.slice(0, 5)}\n${date}`;
    day = date;
    return text;
  });
}

/** Room for the first and the last bar where each has the same: x are places then. */
const besideEach = (_, low, high) => [low - 0.5, high + 0.5];

/** Places that are named on such an axis. */
function wholes(_, __, low, high, step) {
  const by = Math.max(1, Math.round(step));
  return Array.from({ length: Math.floor((high - Math.ceil(low)) / by) + 1 }, (_value, at) => Math.ceil(low) + at * by);
}

/** Room for the first and the last bar. */
function beside(plot, low, high) {
  const xs = plot.data[0];
  const half = xs.length > 1 ? (high - low) / (xs.length - 1) / 2 : 30;
  return [low - half, high + half];
}

/**
 * Take from columns of more points than pixels can show those that are seen: in one pass over each series, the first,
 * lowest, highest and last of each pixel. Every point that is taken is one of the column's; x must grow.
 */
export function seen(columns, width) {
  const [xs, ...series] = columns;
  const many = xs.length;
  if (many <= MANY * width) return columns;
  const from = Number(xs[0]);
  const scale = width / (Number(xs[many - 1]) - from || 1);
  const kept = new Set();
  for (const values of series) {
    let pixel = -1, first = 0, low = 0, high = 0;
    for (let at = 0; at < many; at += 1) {
      const here = ((Number(xs[at]) - from) * scale) | 0;
      if (here !== pixel) {
        if (at) kept.add(first).add(low).add(high).add(at - 1);
        pixel = here;
        first = low = high = at;
        continue;
      }
      const value = values[at];
      if (value === null || value === undefined) continue;
      if (values[low] === null || value < values[low]) low = at;
      if (values[high] === null || value > values[high]) high = at;
    }
    kept.add(first).add(low).add(high).add(many - 1);
  }
  const places = Uint32Array.from(kept).sort();
  return columns.map((column) => Array.from(places, (at) => column[at]));
}

/**
 * A chart of series over ledgers or times. `series` is a list of {name, kind: "line" | "bars"}; `x` is "ledger" or
 * "time"; `even` gives each x the same room, however far the ledgers are apart. Returns {element, draw(columns), end()}; columns are x and one array a series.
 */
export function chart({ label, series, x = "ledger", even = false, write = compact }) {
  const element = h("div", { class: "chart", role: "img", "aria-label": label });
  const hasBars = series.some((one) => one.kind === "bars");
  let plot = null;
  let held = null; // as they were given
  let shown = null; // what of it is drawn

  function options() {
    const dim = colour("--dim");
    const edge = colour("--edge");
    const axis = { stroke: dim, grid: { stroke: edge, width: 1 }, ticks: { stroke: edge }, font: "12px system-ui" };
    return {
      width: wide(),
      height: HEIGHT,
      scales: { x: { time: x === "time", ...(even ? { distr: 2, range: besideEach } : {}), ...(x === "time" && hasBars ? { range: beside } : {}) }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.05 : 1] } },
      cursor: { points: { size: 7 }, drag: { x: false, y: false } },
      legend: { live: true },
      axes: [
        { ...axis, values: x === "time" ? inUtc : (_, values) => values.map((one) => (one === undefined || one % 1 ? "" : one.toLocaleString("en"))), space: 90, ...(even ? { splits: wholes } : {}) },
        { ...axis, size: 56, values: (_, values) => values.map(write) },
      ],
      series: [
        // Of no rows there is no last one: its value is undefined, not null.
        x === "time" ? { label: "time (UTC)", value: (_, value) => ((value ?? null) === null ? "—" : time(value * 1_000)) } : { label: "ledger", value: (_, value) => value?.toLocaleString("en") ?? "—" },
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

  /** Say in words what the picture shows: where it begins and ends, and the newest value of each series. */
  function tell() {
    const [xs, ...all] = held;
    if (!xs.length) return;
    const at = (one) => (x === "time" ? `${time(Number(one) * 1_000)} UTC` : `ledger ${one.toLocaleString("en")}`);
    const last = xs.length - 1;
    const values = all.map((one, place) => `${series[place].name} ${one[last] === null || one[last] === undefined ? "none" : write(Number(one[last]))}`);
    element.setAttribute("aria-label", `${label}, ${at(xs[0])} to ${at(xs[last])}; newest: ${values.join(", ")}`);
  }

  const wide = () => Math.max(200, element.clientWidth);

  function make() {
    plot?.destroy();
    plot = null;
    if (held && element.isConnected) {
      shown = held[0].length > FEW ? seen(held, wide()) : held;
      plot = new globalThis.uPlot(options(), shown, element);
      tell();
    }
    rest();
  }

  const sizes = new ResizeObserver(() => {
    if (!plot) make();
    else if (Math.abs(plot.width - element.clientWidth) > 1) resize();
  });
  sizes.observe(element);

  function resize() {
    plot.setSize({ width: wide(), height: HEIGHT });
    if (shown !== held) again();
  }

  addEventListener("stellarrow-theme", make);

  // Where nobody points, the legend shows the last values.
  const rest = () => setTimeout(() => plot?.setLegend({ idx: shown[0].length - 1 }));
  element.addEventListener("mouseleave", rest);

  const again = () => {
    shown = held[0].length > FEW ? seen(held, wide()) : held;
    plot?.setData(shown);
    tell();
    rest();
  };

  return {
    element,
    draw(columns) {
      held = columns;
      if (plot) drawSoon(again);
      else make();
    },
    end() {
      due.delete(again);
      sizes.disconnect();
      removeEventListener("stellarrow-theme", make);
      plot?.destroy();
      plot = null;
    },
  };
}
