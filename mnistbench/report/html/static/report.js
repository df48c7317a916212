"use strict";
(() => {
  const MOST_ROWS_WITHOUT_FILTER = 8;
  const LIGHT = {
    colors: ["#1f6fb4", "#c75b00", "#2a8a4a", "#a23b8f", "#8a6d1f", "#0e8a9a", "#b8322c", "#5b6470", "#6a51c2", "#7a5230"],
    ink: "#1c2128", muted: "#57606a", line: "#d4d9df", paper: "#ffffff", veil: "rgba(110,120,135,.14)",
  };
  const DARK = {
    colors: ["#6cb2f5", "#ffa14d", "#6fd08c", "#e68bd4", "#dcc25e", "#54cbdb", "#ff857d", "#aab4c0", "#b09cff", "#cfa27c"],
    ink: "#e4e8ed", muted: "#a3acb7", line: "#39424d", paper: "#14181d", veil: "rgba(170,180,195,.14)",
  };
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 40rem)");
  const print = window.matchMedia("print");

  // Colours stand in the data as "@3" or "@ink": one set of data, whatever the theme.
  const inTheme = (value, theme, key = "") => {
    if (typeof value === "string" && value[0] === "@" && /color$/.test(key)) {
      const place = Number(value.slice(1));
      return Number.isNaN(place) ? theme[value.slice(1)] : theme.colors[place % theme.colors.length];
    }
    if (Array.isArray(value)) return key === "" ? value.map((each) => inTheme(each, theme)) : value;
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, inTheme(each, theme, name)]));
    }
    return value;
  };

  // A shortened name beside a bar would take half of a phone.
  const inTwoLines = (name) => name.replace("…", "…<br>");

  const axisOf = (axis, theme) => ({
    gridcolor: theme.line, zerolinecolor: theme.line, linecolor: theme.muted, ...axis,
  });

  const draw = (chart, place, forPaper) => {
    const theme = dark.matches && !forPaper ? DARK : LIGHT;
    const small = narrow.matches || forPaper;
    const data = inTheme(chart.data, theme).map((trace) => ({
      ...trace,
      ...(trace.type === "heatmap" ? { colorbar: { thickness: small ? 10 : 18, outlinewidth: 0 } } : {}),
      ...(trace.type === "bar" && small ? { y: trace.y.map(inTwoLines) } : {}),
    }));
    const layout = {
      margin: { l: 8, r: "ticktext" in chart.layout.xaxis ? 48 : 12, t: 8, b: 8 }, height: 360,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: theme.ink, size: small ? 11 : 13, family: "system-ui, sans-serif" },
      hoverlabel: { bgcolor: theme.paper, bordercolor: theme.muted, font: { color: theme.ink }, align: "left" },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, traceorder: "normal" },
      ...chart.layout,
      xaxis: axisOf(chart.layout.xaxis, theme), yaxis: axisOf(chart.layout.yaxis, theme),
    };
    const options = {
      responsive: true, displaylogo: false, displayModeBar: small ? false : "hover",
      modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
      toImageButtonOptions: { filename: chart.name, format: "svg" },
    };
    return Plotly.react(place, data, layout, options);
  };

  const charts = JSON.parse(document.getElementById("charts").textContent);
  const places = new Map(charts.map((chart) => [chart, document.getElementById("chart-" + chart.name)]));
  const drawAll = (forPaper) => places.forEach((place, chart) => draw(chart, place, forPaper));
  // One after the other, so that the page can be read meanwhile.
  const drawInTurn = (left) => {
    if (!left.length) { document.documentElement.dataset.drawn = "yes"; return; }
    draw(left[0], places.get(left[0]), false);
    setTimeout(() => drawInTurn(left.slice(1)), 0);
  };
  drawInTurn(charts);
  for (const query of [dark, narrow]) query.addEventListener("change", () => drawAll(print.matches));
  window.addEventListener("beforeprint", () => drawAll(true));
  window.addEventListener("afterprint", () => drawAll(false));

  // Over a box the label is that of the nearest dot.
  const boxText = (box, name) => {
    const [low, median, high] = [box.q1, box.med, box.q3].map((value) => value.toPrecision(4));
    return `${name}: median ${median}, half of them from ${low} to ${high}, n = ${box.pts2.length}`;
  };

  // Where each value of a chart lies, in the coordinates of its axes.
  const valuesOf = (place) => place.calcdata.flatMap((points) => {
    const kind = points[0].trace && points[0].trace.type;
    if (kind === "heatmap") {
      return points[0].z.flatMap((row, y) => row.map((value, x) => ({ xval: x, yval: y })));
    }
    if (kind === "bar") return points.map((each) => ({ xval: each.b + each.s / 2, yval: each.p }));
    if (kind === "box") {
      return points.map((each) => ({ xval: each.pos, yval: each.med, says: boxText(each, points[0].trace.name) }));
    }
    return points.map((each) => ({ xval: each.x, yval: each.y }));
  }).filter(({ xval, yval }) => Number.isFinite(xval) && Number.isFinite(yval));

  // By keyboard: arrows go from value to value, and a screen reader says what the label shows.
  const makeWalkable = (place) => {
    const told = document.getElementById(`told-${place.dataset.chart}`);
    let at = -1;
    const leave = () => { Plotly.Fx.unhover(place); told.textContent = ""; };
    place.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") leave();
      if (!step || !place.calcdata) return;
      event.preventDefault();
      const values = valuesOf(place);
      at = (Math.max(at, step > 0 ? -1 : 0) + step + values.length) % values.length;
      const { says, ...where } = values[at];
      Plotly.Fx.hover(place, where, "xy");
      // Plotly may wait a moment before it shows the label.
      setTimeout(() => {
        const lines = [...place.querySelectorAll(".hoverlayer text.nums, .hoverlayer text.name")]
          .flatMap((text) => text.querySelector("tspan.line")
            ? [...text.querySelectorAll("tspan.line")].map((line) => line.textContent)
            : [text.textContent]);
        told.textContent = says || lines.filter(Boolean).join(", ");
      }, 80);
    });
    place.addEventListener("blur", leave);
  };
  places.forEach((place) => makeWalkable(place));

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    if ("order" in cell.dataset) return Number(cell.dataset.order);
    return cell.textContent.trim() === "" ? null : cell.textContent.trim();
  };
  const compare = (one, other) => typeof one === "number" && typeof other === "number"
    ? one - other : String(one).localeCompare(String(other), undefined, { numeric: true });

  const sortBy = (table, head, column) => {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => ({ row, value: valueOf(row, column) }));
    // The unknown is last, whichever way: it is neither much nor little.
    rows.sort((a, b) => (a.value === null) - (b.value === null)
      || (a.value === null ? 0 : compare(a.value, b.value) * (down ? -1 : 1)));
    body.append(...rows.map(({ row }) => row));
  };

  const makeSortable = (table) => {
    if (table.tBodies[0].rows.length < 2) return;
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sortBy(table, head, column));
      head.append(button);
    });
  };

  const makeFilterable = (table) => {
    const rows = [...table.tBodies[0].rows];
    if (rows.length <= MOST_ROWS_WITHOUT_FILTER) return;
    const label = document.createElement("label");
    const input = document.createElement("input");
    const count = document.createElement("span");
    label.className = "filter";
    label.append("Only rows with ", input);
    input.type = "search";
    count.setAttribute("role", "status");
    label.append(count);
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += row.hidden ? 0 : 1;
      }
      count.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
    });
    table.closest(".scroll").before(label);
  };

  for (const table of document.querySelectorAll("table")) {
    makeSortable(table);
    makeFilterable(table);
  }
})();
