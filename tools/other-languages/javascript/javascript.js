// Runs programs for a model: their text, in the one interpreter that this call has. What they log is caught, what they throw
// becomes the error that the model reads.

// What a model can still read; the rest is counted.
const CHARACTERS_MAX = 64 * 1024;

// The engine has them, and nothing to send them with: a program that finds none of them does without.
for (const name of ['fetch', 'Request', 'Response', 'Headers']) {
  delete globalThis[name];
}

export function run(code, input) {
  const output = new Output();
  globalThis.console = output.console();
  globalThis.input = input === undefined ? undefined : parsed(input);
  try {
    // Indirect, so that the program sees nothing of this file.
    const value = (0, eval)(code);
    return { output: output.text(), value: written(value) };
  } catch (error) {
    throw told(error, output.text());
  }
}

function parsed(input) {
  try {
    return JSON.parse(input);
  } catch (error) {
    throw `\`input\` is not JSON: ${error.message}`;
  }
}

// As JSON, with what JSON lacks in words: it is read by a model.
function written(value) {
  return JSON.stringify(value, (_, part) => {
    if (typeof part === 'bigint') return part.toString();
    if (part instanceof Map) return Object.fromEntries(part);
    if (part instanceof Set) return [...part];
    if (typeof part === 'number' && !Number.isFinite(part)) return String(part);
    return part;
  });
}

function told(error, printed) {
  const said = error instanceof Error ? `${error.name}: ${error.message}\n${places(error)}`.trimEnd() : `thrown: ${shown(error)}`;
  return printed === '' ? said : `${said}\n\nbefore that it wrote:\n${printed}`;
}

// The lines of the program itself: how it was started is not its affair.
function places(error) {
  const lines = String(error.stack ?? '').split('\n').map((line) => /^(.*)@.* > eval:(\d+):\d+$/.exec(line));
  return lines.filter(Boolean).map(([, name, line]) => `  at line ${line}${name ? ` in ${name}` : ''}`).join('\n');
}

function shown(value) {
  return typeof value === 'string' ? value : (written(value) ?? String(value));
}

class Output {
  #parts = [];
  #kept = 0;
  #leftOut = 0;

  console() {
    const line = (...values) => this.#write(`${values.map(shown).join(' ')}\n`);
    return { log: line, info: line, debug: line, warn: line, error: line };
  }

  #write(text) {
    const part = text.slice(0, CHARACTERS_MAX - this.#kept);
    this.#parts.push(part);
    this.#kept += part.length;
    this.#leftOut += text.length - part.length;
  }

  text() {
    const end = this.#leftOut > 0 ? `\n… ${this.#leftOut} more characters` : '';
    return this.#parts.join('') + end;
  }
}
