"use strict";

const PAUSE_MS = 2000;
const find = (id) => document.getElementById(id);

function cell(text, kind) {
  const made = document.createElement("td");
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function small(text) {
  const made = document.createElement("small");
  made.textContent = text;
  return made;
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function nameCell(job) {
  const made = cell("", "long");
  const link = document.createElement("a");
  link.textContent = job.name;
  // Only addresses of this server: what a job says of itself is no link elsewhere.
  link.href = /^\/(?!\/)/.test(job.dashboard_url ?? "") ? job.dashboard_url : `/v1/jobs/${job.id}`;
  made.append(link, small(job.id));
  return made;
}

function stateCell(job) {
  const made = cell(job.state, `state ${job.state}`);
  if (job.reason) made.append(small(job.reason));
  made.title = job.detail ?? "";
  return made;
}

function trialsCell(job) {
  const counts = job.counts;
  const parts = ["running", "pruned", "failed"].filter((name) => counts[name]);
  const made = cell(`${job.progress.finished} of ${job.budget.trials}`);
  const bar = document.createElement("progress");
  bar.value = job.progress.fraction;
  made.append(bar, small(parts.map((name) => `${counts[name]} ${name}`).join(", ") || " "));
  return made;
}

function bestCell(job) {
  const made = cell(job.best ? job.best.value.toPrecision(5) : "–", "figure");
  made.append(small(job.best ? `${job.metric}, trial ${job.best.number}` : Object.keys(job.metrics).join(", ")));
  return made;
}

function row(job) {
  const made = document.createElement("tr");
  const at = new Date(job.created_at);
  const created = cell(at.toLocaleDateString());
  created.append(small(at.toLocaleTimeString()));
  const what = cell(job.model || (job.objective ? "objective" : "command"), "long");
  what.append(small(job.model ? `${job.data}, ${job.optimizer}` : job.what));
  made.append(
    nameCell(job), stateCell(job), trialsCell(job), bestCell(job), what,
    cell(duration(job.progress.eta_seconds), "figure"), created,
  );
  return made;
}

function show(jobs) {
  find("jobs").tBodies[0].replaceChildren(...jobs.map(row));
  find("jobs").hidden = jobs.length === 0;
  find("none").hidden = jobs.length > 0;
  const running = jobs.filter((job) => job.state === "running").length;
  find("status").textContent = running ? `${running} running` : "ready";
}

async function refresh() {
  const trouble = find("trouble");
  try {
    const answer = await fetch("/v1/jobs?page_size=20");
    const body = await answer.json();
    if (answer.ok) show(body.jobs);
    trouble.textContent = answer.ok ? "" : `${body.detail} ${body.hint ?? ""}`;
  } catch {
    trouble.textContent = "The server does not answer.";
  }
  trouble.hidden = trouble.textContent === "";
}

async function keepFresh() {
  if (!document.hidden) await refresh();
  setTimeout(keepFresh, PAUSE_MS);
}

find("address").textContent = location.origin;
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
keepFresh();
