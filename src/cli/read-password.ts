// A password from a terminal, without showing it, or the first line of what is piped in. Never from the
// arguments, which everybody on the machine can see.

/** More than any password; beyond, somebody has piped in something else. */
const charactersMax = 4096;

/** @throws Error when it was given up (Ctrl-C) or nothing was there. */
export async function readPassword(prompt: string): Promise<string> {
  const { stdin } = process;
  if (!stdin.isTTY) return await firstLine();
  const first = await ask(`${prompt}: `);
  return first;
}

/** Asked for twice at a terminal, because nobody sees what they type. */
export async function readNewPassword(prompt: string): Promise<string> {
  const first = await readPassword(prompt);
  if (!process.stdin.isTTY) return first;
  if ((await ask(`${prompt} again: `)) !== first) throw new Error("the two are not the same");
  return first;
}

async function firstLine(): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of Bun.stdin.stream()) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes("\n") || text.length > charactersMax) break;
  }
  const line = (text.split("\n", 1)[0] ?? "").replace(/\r$/, "");
  if (line === "") throw new Error("no password was given on stdin");
  return line;
}

function ask(prompt: string): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write(prompt);
  stdin.setRawMode(true);
  stdin.resume();
  return new Promise((resolve, reject) => {
    let typed = "";
    const end = (settle: () => void): void => {
      stdin.off("data", hear);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write("\n");
      settle();
    };
    const hear = (data: Buffer): void => {
      for (const letter of data.toString("utf8")) {
        if (letter === "\r" || letter === "\n") return end(() => resolve(typed));
        if (letter === "\u0003" || letter === "\u0004") {
          return end(() => reject(new Error("given up")));
        }
        if (letter === "\u007F" || letter === "\b") typed = typed.slice(0, -1);
        else if (typed.length < charactersMax) typed += letter;
      }
    };
    stdin.on("data", hear);
  });
}
