// Finds every match of a regular expression in a text. `wit/tool.wit` says what is offered, this file does it.

export function find(text, pattern, flags) {
  const expression = compiled(pattern, flags ?? '');
  return [...text.matchAll(expression)].map((match) => ({
    line: text.slice(0, match.index).split('\n').length,
    text: match[0],
    groups: match.slice(1),
  }));
}

function compiled(pattern, flags) {
  try {
    return new RegExp(pattern, flags.includes('g') ? flags : flags + 'g');
  } catch (error) {
    // What is thrown becomes the error that the model reads: say what was wrong.
    throw `\`${pattern}\` is not a regular expression: ${error.message}`;
  }
}
