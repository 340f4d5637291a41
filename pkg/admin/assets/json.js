// JSON as text. JSON.parse would round long numbers, move keys that are numbers, and drop
// all but the last of equal keys.

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s"{}[\],:]+/g;
const MAX_INDENT = 50; // levels: deeper ones would need more spaces than text

/** The text of a value in lines, with each token as it is. */
export function indent(text) {
  const tokens = text.match(TOKEN) ?? [];
  const lines = [];
  let level = 0;
  const line = () => lines.push('\n', '  '.repeat(Math.min(level, MAX_INDENT)));
  tokens.forEach((token, i) => {
    const opened = tokens[i - 1] === '{' || tokens[i - 1] === '[';
    if (token === '}' || token === ']') {
      level--;
      if (!opened) line();
    } else if (opened) {
      line();
    }
    lines.push(token === ':' ? ': ' : token);
    if (token === ',') line();
    else if (token === '{' || token === '[') level++;
  });
  return lines.join('');
}
