// Reads requests from standard input, as JSON, and writes the decision about each.
import { readFileSync } from "node:fs";
import { runSimulation } from "@cloud-copilot/iam-simulate";

const account = "123456789012";
const decisions = [];
for (const r of JSON.parse(readFileSync(0, "utf8"))) {
  const answer = await runSimulation({
    request: {
      principal: r.Principal,
      action: r.Action,
      resource: { resource: r.Resource, accountId: account },
      contextVariables: r.Context ?? {},
    },
    identityPolicies: (r.Identity ?? []).map((policy, i) => ({ name: `policy${i}`, policy })),
    resourcePolicy: r.ResourcePolicy ?? undefined,
    serviceControlPolicies: [],
    resourceControlPolicies: [],
  }, {});
  const ignored = answer.result?.ignoredContextKeys ?? [];
  decisions.push({
    Result: answer.overallResult ?? "",
    Error: answer.resultType === "single" ? "" : JSON.stringify(answer.errors ?? answer.resultType),
    Ignored: ignored,
  });
}
process.stdout.write(JSON.stringify(decisions));
