// @ts-check
/**
 * The admin page: documents, uploads, builds, snapshots, over the routes under /v1/admin.
 *
 * What is kept here is what the page is doing. Whatever comes from the server or from a file's name is put into
 * the page as text, never as HTML; the page's policy would refuse it anyway.
 */

import { Refused, address, call, events, hasToken, onRefusal, send, setToken } from "./admin_api.js";
import { confirmed, count, part, say, sentences, size, when } from "./admin_dom.js";
import {
  OUTCOMES,
  UNDER_WAY,
  buildItem,
  changesText,
  documentCard,
  findingsBox,
  settle,
  showProgress,
  showReport,
  snapshotItem,
  uploadRow,
} from "./admin_views.js";

/** @typedef {import("./admin_api.js").AdminDocument} AdminDocument */
/** @typedef {import("./admin_api.js").Build} Build */
/** @typedef {import("./admin_api.js").Snapshot} Snapshot */
/** @typedef {import("./admin_api.js").UploadRow} UploadRow */

const PAGE = 50;
let offset = 0;
let total = 0;
/** Rises at each search, so that an answer that comes late is dropped. */
let searches = 0;
/** The build that is followed; aborting it ends the stream. */
let following = /** @type {AbortController | null} */ (null);
let buildId = "";

/** Do something and say what went wrong, if anything did. @param {() => Promise<void>} act */
async function attempt(act) {
  try {
    await act();
  } catch (error) {
    say(error instanceof Refused ? error.message : `Something failed on this page: ${String(error)}`);
  }
}

// Signing in and out

/** @param {SubmitEvent} event */
async function signIn(event) {
  event.preventDefault();
  const field = part("token", HTMLInputElement);
  const problem = part("token-problem", HTMLElement);
  problem.textContent = "";
  setToken(field.value.trim());
  try {
    await call("GET", "/v1/admin/snapshots");
  } catch (error) {
    setToken("");
    const status = error instanceof Refused ? error.status : 0;
    const told = error instanceof Refused && error.problem ? error.problem.code : "";
    problem.textContent =
      told === "token_expired"
        ? "This token has expired. Ask whoever runs the service for a new one."
        : status === 401
          ? "This token is not known here. Look at it again, or ask whoever runs the service."
          : status === 403
            ? "This token allows reading alone. Administering needs an admin token."
            : error instanceof Error
              ? error.message
              : "Something failed.";
    field.focus();
    return;
  }
  field.value = "";
  part("sign-in", HTMLElement).hidden = true;
  part("desk", HTMLElement).hidden = false;
  part("folder", HTMLInputElement).focus();
  await refresh();
  await resumeBuild();
}

/** @param {string} [why] */
function signOut(why = "") {
  setToken("");
  following?.abort();
  following = null;
  part("desk", HTMLElement).hidden = true;
  part("sign-in", HTMLElement).hidden = false;
  for (const id of ["documents", "uploads", "builds", "snapshots", "report", "served", "changes", "found"]) {
    part(id, HTMLElement).replaceChildren();
  }
  part("token-problem", HTMLElement).textContent = why;
  part("token", HTMLInputElement).focus();
}

async function refresh() {
  await Promise.all([
    attempt(showDocuments),
    attempt(async () => {
      await showSnapshots();
    }),
    attempt(showBuilds),
  ]);
}

// Documents

async function showDocuments() {
  const mine = ++searches;
  const query = new URLSearchParams({ limit: String(PAGE), offset: String(offset) });
  const wanted = part("q", HTMLInputElement).value.trim();
  if (wanted) {
    query.set("q", wanted);
  }
  part("found", HTMLElement).textContent = "Reading the library folder …";
  const list = part("documents", HTMLElement);
  list.setAttribute("aria-busy", "true");
  /** @type {{documents: AdminDocument[], total: number, changes: Record<string, number>, ignored: string[]}} */
  let page;
  try {
    page = await call("GET", `/v1/admin/documents?${query}`);
  } catch (error) {
    if (mine === searches) {
      part("found", HTMLElement).textContent = error instanceof Error ? error.message : "Something failed.";
      list.removeAttribute("aria-busy");
    }
    return;
  }
  if (mine !== searches) {
    return;
  }
  total = page.total;
  if (offset > 0 && page.documents.length === 0) {
    offset = 0;
    await showDocuments();
    return;
  }
  const last = offset + page.documents.length;
  const ignored = page.ignored.length ? ` ${page.ignored.length} other files are of kinds that no reader takes.` : "";
  part("found", HTMLElement).textContent =
    (total ? `Documents ${offset + 1} to ${last} of ${total}.` : "No document is found.") + ignored;
  part("changes", HTMLElement).textContent = changesText(page.changes);
  list.replaceChildren(...page.documents.map((item) => documentCard(item, (one) => void deleteDocument(one))));
  list.removeAttribute("aria-busy");
  part("before", HTMLElement).hidden = offset === 0;
  part("after", HTMLElement).hidden = last >= total;
}

/** @param {AdminDocument} item */
async function deleteDocument(item) {
  const isSure = await confirmed(
    "Delete this document?",
    `${item.id} is deleted from the library folder. It is quoted until the next build is published.`,
  );
  if (!isSure) {
    return;
  }
  await attempt(async () => {
    await call("DELETE", address(item.id), undefined, item.sha256 ? { "if-match": `"${item.sha256}"` } : {});
    say(`${item.id} is deleted. Build to withdraw it from the answers.`);
  });
  await attempt(showDocuments);
  part("q", HTMLInputElement).focus();
}

// Uploads

/** @param {Iterable<File>} files */
async function upload(files) {
  const folder = part("folder", HTMLInputElement).value.trim().replace(/^\/+|\/+$/g, "");
  const chosen = [...files];
  let stored = 0;
  // One after the other: each is read by the service, and the order of the results is the order of the files.
  const rows = chosen.map((file) => uploadRow(folder ? `${folder}/${file.name}` : file.name));
  for (const [number, file] of chosen.entries()) {
    stored += (await uploadOne(file, rows[number])) ? 1 : 0;
  }
  say(`${stored} of ${chosen.length} ${chosen.length === 1 ? "file is" : "files are"} in the library folder.`);
  if (hasToken()) {
    await attempt(showDocuments);
  }
}

/**
 * Send one file; a document of that name is replaced after asking.
 * @param {File} file @param {UploadRow} row @returns {Promise<boolean>} whether it is stored
 */
async function uploadOne(file, row) {
  const limit = Number(part("admin", HTMLElement).dataset.maxUploadBytes);
  if (file.size > limit) {
    return settle(row, `Not stored: ${size(file.size)} are more than the ${size(limit)} that are taken.`, false);
  }
  let reply = await send(file, row, { "if-none-match": "*" }).catch(() => null);
  if (reply?.status === 412) {
    const isSure = await confirmed("Replace the document?", `${row.id} is in the library folder already.`);
    if (!isSure) {
      return settle(row, "Not stored: the document that is there was kept.", false);
    }
    reply = await send(file, row, { "if-match": "*" }).catch(() => null);
  }
  if (reply === null) {
    return settle(row, "Not stored: the connection broke off. Try again.", false);
  }
  if (reply.status >= 400) {
    return settle(row, `Not stored. ${sentences(reply.value.detail, reply.value.fix)}`, false);
  }
  const { read, created } = reply.value;
  const advice = read.findings.length ? `, ${read.findings.length} to mend` : "";
  settle(row, `${created ? "Stored" : "Replaced"}: ${count(read.n_passages, "passage")}${advice}.`, true);
  row.item.append(findingsBox(read.findings));
  return true;
}

// Builds

async function startBuild() {
  part("report", HTMLElement).replaceChildren();
  /** @type {Build} */
  const build = await call("POST", "/v1/admin/builds", { refuse_failures: part("refuse", HTMLInputElement).checked });
  say("The build is starting.");
  await follow(build);
}

/** Follow a build that was under way when somebody signed in. */
async function resumeBuild() {
  await attempt(async () => {
    /** @type {{builds: Build[]}} */
    const { builds } = await call("GET", "/v1/admin/builds");
    const running = builds.find((build) => UNDER_WAY.includes(build.state));
    if (running) {
      await follow(running);
    }
  });
}

/**
 * Show a build until its end. A stream that breaks off is taken up after the last event that was seen.
 * @param {Build} build
 */
async function follow(build) {
  following?.abort();
  const mine = new AbortController();
  following = mine;
  buildId = build.id;
  let latest = build;
  let failures = 0;
  showProgress(latest);
  while (UNDER_WAY.includes(latest.state) && failures < 10 && !mine.signal.aborted) {
    try {
      for await (const event of events(latest, mine.signal)) {
        latest = event;
        failures = 0;
        showProgress(latest);
      }
    } catch (error) {
      if (mine.signal.aborted || (error instanceof Refused && error.problem)) {
        break;
      }
    }
    if (UNDER_WAY.includes(latest.state)) {
      failures += 1;
      await new Promise((resolve) => setTimeout(resolve, Math.min(5_000, 300 * 2 ** failures)));
    }
  }
  if (mine.signal.aborted) {
    return;
  }
  following = null;
  showProgress(latest);
  if (UNDER_WAY.includes(latest.state)) {
    say("The service can't be reached; sign in again to see what became of the build.");
    return;
  }
  say(OUTCOMES[latest.state] ?? latest.state);
  showReport(latest);
  await attempt(showBuilds);
  await attempt(settleSnapshots);
}

async function showBuilds() {
  /** @type {{builds: Build[]}} */
  const { builds } = await call("GET", "/v1/admin/builds");
  part("builds-box", HTMLElement).hidden = builds.length === 0;
  part("builds", HTMLElement).replaceChildren(
    ...builds.map((build) =>
      buildItem(build, (one) => void attempt(async () => {
        showReport(await call("GET", `/v1/admin/builds/${encodeURIComponent(one.id)}`));
      })),
    ),
  );
}

// Snapshots

async function showSnapshots() {
  /** @type {{snapshots: Snapshot[]}} */
  const { snapshots } = await call("GET", "/v1/admin/snapshots");
  const served = snapshots.find((snapshot) => snapshot.is_served);
  part("served", HTMLElement).textContent = served
    ? `Answers come from the state of ${when(served.created_at)}: ${count(served.documents ?? 0, "document")}, ` +
      `${count(served.passages ?? 0, "passage")}.`
    : "Nothing is served yet: add documents and build.";
  part("snapshots", HTMLElement).replaceChildren(...snapshots.map((snapshot) => snapshotItem(snapshot, (one) => void rollBack(one))));
  return snapshots.every((snapshot) => snapshot.is_current === snapshot.is_served);
}

/** Wait until what is live is served as well: a process opens a new state within seconds. */
async function settleSnapshots() {
  for (let tries = 0; tries < 40 && hasToken(); tries += 1) {
    if (await showSnapshots()) {
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  await showDocuments();
}

/** @param {Snapshot} snapshot */
async function rollBack(snapshot) {
  const isSure = await confirmed(
    "Go back to this state?",
    `Answers then come from the state of ${when(snapshot.created_at)}. Documents on disk stay as they are.`,
  );
  if (!isSure) {
    return;
  }
  await attempt(async () => {
    await call("POST", "/v1/admin/rollback", { snapshot: snapshot.id });
    say(`The state of ${when(snapshot.created_at)} is live; every process follows within seconds.`);
  });
  await attempt(settleSnapshots);
}

function start() {
  const admin = document.getElementById("admin");
  if (!admin) {
    return;
  }
  admin.hidden = false;
  onRefusal(() => signOut("The token is no longer taken. Sign in again."));
  part("sign-in", HTMLFormElement).addEventListener("submit", (event) => void signIn(event));
  part("sign-out", HTMLElement).addEventListener("click", () => signOut());
  part("build", HTMLElement).addEventListener("click", () => void attempt(startBuild));
  part("cancel", HTMLElement).addEventListener("click", () => void attempt(async () => {
    await call("DELETE", `/v1/admin/builds/${encodeURIComponent(buildId)}`);
    say("The build stops at its next step.");
  }));
  part("search", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    offset = 0;
    void attempt(showDocuments);
  });
  part("before", HTMLElement).addEventListener("click", () => turn(-PAGE));
  part("after", HTMLElement).addEventListener("click", () => turn(PAGE));
  const dialog = part("confirm", HTMLDialogElement);
  part("confirm-yes", HTMLElement).addEventListener("click", () => dialog.close("yes"));
  part("confirm-no", HTMLElement).addEventListener("click", () => dialog.close("no"));
  wireFiles();
  part("token", HTMLInputElement).focus();
}

/** @param {number} step */
function turn(step) {
  offset = Math.max(0, offset + step);
  void attempt(showDocuments);
  part("documents-title", HTMLElement).scrollIntoView();
}

function wireFiles() {
  const picker = part("files", HTMLInputElement);
  picker.addEventListener("change", () => {
    const files = [...(picker.files ?? [])];
    picker.value = ""; // so that the same file can be chosen again
    void upload(files);
  });
  const box = part("drop", HTMLElement);
  // A file dropped beside the box would replace the page.
  for (const kind of ["dragover", "drop"]) {
    window.addEventListener(kind, (event) => event.preventDefault());
  }
  box.addEventListener("dragenter", () => box.classList.add("is-over"));
  box.addEventListener("dragleave", (event) => {
    if (!(event.relatedTarget instanceof Node) || !box.contains(event.relatedTarget)) {
      box.classList.remove("is-over");
    }
  });
  box.addEventListener("drop", (event) => {
    box.classList.remove("is-over");
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length) {
      void upload(files);
    }
  });
}

start();
