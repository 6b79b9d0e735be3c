// @ts-check
/**
 * Ask a Citewell server from JavaScript, in a browser or in Node 18 and newer. Copy this file; it needs nothing else.
 *
 *     echo "How soon does withdrawal start?" | node ask.mjs https://citewell.example.org
 */

/** The server refused or failed. Show `notices` first: somebody in danger gets them even where nothing is answered. */
export class AskFailed extends Error {
  /**
   * @param {number} status
   * @param {Record<string, any>} problem
   * @param {number | null} retryAfterSeconds
   */
  constructor(status, problem, retryAfterSeconds) {
    super([status, problem.code ?? "not_citewell", problem.detail, problem.fix].filter(Boolean).join(" "));
    this.status = status;
    this.code = problem.code ?? "not_citewell";
    this.requestId = problem.request_id ?? "";
    this.notices = problem.notices ?? [];
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/**
 * Return the answer as it is sent; see /openapi.json. Put its text into a page by `textContent` alone, from `segments`:
 * offsets count code points, JavaScript counts UTF-16 units.
 *
 * @param {string} endpoint
 * @param {string} question
 * @param {{top_k?: number, filters?: object, explain?: boolean}} [options]
 * @param {AbortSignal} [signal]
 * @returns {Promise<Record<string, any>>}
 */
export async function ask(endpoint, question, options = {}, signal = AbortSignal.timeout(20_000)) {
  const response = await fetch(`${endpoint.replace(/\/+$/, "")}/v1/ask`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ question, ...options }),
    credentials: "omit",
    referrerPolicy: "no-referrer",
    cache: "no-store",
    signal,
  });
  const reply = (await response.json().catch(() => null)) ?? {};
  if (response.ok && typeof reply.answered === "boolean") return reply;
  throw new AskFailed(response.status, reply, Number(response.headers.get("retry-after")) || null);
}

/**
 * Yield an answer as lines for a person: notices first, then each quotation with its reference.
 * @param {Record<string, any>} answer
 */
export function* shown(answer) {
  for (const notice of answer.notices) {
    yield notice.title;
    yield notice.text;
    for (const link of notice.links) yield `${link.label}: ${link.href}`;
  }
  if (!answer.answered) yield `No answer (${answer.reason}).`;
  for (const passage of answer.passages) {
    if (passage.document.content_note) yield `Before you read: ${passage.document.content_note}`;
    yield `“${passage.text}”`;
    yield `    ${passage.citation.text}`;
  }
}

const node = /** @type {any} */ (globalThis).process;
if (node?.argv?.[1]?.endsWith("ask.mjs")) {
  let question = "";
  for await (const part of node.stdin) question += part;
  try {
    const answer = await ask(node.argv[2] ?? "", question);
    console.log([...shown(answer)].join("\n"));
    node.exitCode = answer.answered ? 0 : 1;
  } catch (error) {
    console.error(`error: ${/** @type {Error} */ (error).message}`);
    node.exitCode = 1;
  }
}
