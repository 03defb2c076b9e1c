// The values of moving windows over time, in the population that is shown.
"use strict";

// A band of one standard error, and the line on it; a set without trials is one level.
function courseTraces(set) {
  const course = data.courses.sets[set];
  const [values, error] = [course.values[state.layer], course.error[state.layer]];
  const colour = setColour(set);
  const edge = (sign) => values.map((value, at) => (value === null || error[at] === null ? null : value + sign * error[at]));
  const band = bandShape(edge(-1), edge(1));
  const traces = [];
  if (band.x.length) {
    traces.push({
      ...band,
      x: band.x.map((at) => (at === null ? null : course.times[at])),
      mode: "lines",
      line: { width: 0, color: colour },
      fill: "toself",
      fillcolor: faded(colour, 0.17),
      hoverinfo: "skip",
      meta: { role: "error", set },
    });
  }
  const about = course.constant ? "mean of all windows" : data.courses.aligned ? `mean of ${counted(course.trials)} trials` : "";
  traces.push({
    x: course.times,
    y: values,
    mode: course.constant ? "lines" : "lines+markers",
    line: { color: colour, width: 1.5, dash: course.constant ? "dash" : "solid" },
    marker: { symbol: data.sets[set].symbol.plotly, color: colour, size: course.times.length > 200 ? 3 : 6 },
    hoverinfo: "text",
    hovertext: course.times.map((time, at) => [`<b>${plain(data.sets[set].name)}</b>`, about, `${written(time)} s`, `differentiation <b>${written(values[at], error[at] || 0)}</b>`].filter(Boolean).join("<br>")),
    meta: { role: "course", set },
  });
  return traces;
}

function drawCourses() {
  if (!byId("courses")) return;
  const { courses } = data;
  draw("courses", setsShown().flatMap(courseTraces), {
    height: 340,
    xaxis: axis({ title: `Seconds ${courses.aligned ? "after the onset of the trial" : "of the recording"}` }),
    yaxis: axis({ title: "Differentiation", rangemode: "tozero" }),
  });
  byId("courses-caption").textContent = [
    `${layerShown().name}, at the largest number of ${words.units}. A point is a window, at its middle.`,
    courses.aligned ? "Lines are means over trials, bands one standard error of these." : "Lines break between trials.",
    courses.sets.some((course) => course.constant) ? "Dashed: the mean of all windows of a set without trials." : "",
    courses.every > 1 ? `Of every ${courses.every} windows one is drawn.` : "",
    "Windows that overlap hold the same data in part.",
  ].filter(Boolean).join(" ");
}
