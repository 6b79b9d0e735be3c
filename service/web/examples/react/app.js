/** React 19 sets attributes and properties of custom elements and listens for their events; nothing is wrapped. */
import { createElement as h, useState } from "react";
import { createRoot } from "react-dom/client";

const ENDPOINT = "https://citewell.example.org";

function App() {
  const [kind, setKind] = useState("");
  const [told, setTold] = useState("Nothing asked yet");
  return h("div", null,
    h("h1", null, "Library"),
    h("label", null, "Quote from ",
      h("select", { value: kind, onChange: (event) => setKind(event.target.value) },
        h("option", { value: "" }, "every source"),
        h("option", { value: "charity" }, "charities"))),
    h("citewell-search", {
      endpoint: ENDPOINT,
      "top-k": 3,
      // A property: an object stays an object.
      filters: kind ? { source_type: [kind] } : undefined,
      "oncitewell:answer": (event) => setTold(`${event.detail.passages} passages`),
      "oncitewell:error": (event) => setTold(`Error: ${event.detail.code}`),
    }),
    h("p", { id: "told" }, told));
}

createRoot(document.getElementById("root")).render(h(App));
