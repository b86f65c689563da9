// The verdict of AG-UI's own client: reads an array of events from a line of stdin, writes {at, why}: the place of the
// first event that verifyEvents refuses, and its words; {at: null} where it lets all of them pass.
const { verifyEvents } = require("@ag-ui/client");
const { from } = require("rxjs");

function judge(events) {
  let passed = 0;
  let verdict = { at: null, why: "" };
  from(events)
    .pipe(verifyEvents(false))
    .subscribe({ next: () => passed++, error: (error) => (verdict = { at: passed, why: String(error.message) }) });
  return verdict;
}

require("node:readline")
  .createInterface({ input: process.stdin })
  .on("line", (line) => console.log(JSON.stringify(judge(JSON.parse(line)))));
