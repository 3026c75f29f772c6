// Run inside a page, after axe-core. Answers what it finds serious or critical, as texts.
const answer = arguments[arguments.length - 1];
axe.run(document, { resultTypes: ["violations"] }).then(
  ({ violations }) =>
    answer(
      violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(({ id, impact, help, nodes }) => {
          const places = nodes.slice(0, 3).map(({ target }) => target.join(" "));
          return `${impact} ${id}: ${help}: ${places.join(", ")}${nodes.length > 3 ? " …" : ""}`;
        }),
    ),
  (error) => answer([`axe: ${error}`]),
);
