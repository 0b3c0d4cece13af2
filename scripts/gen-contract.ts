import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/**
 * The generated half of the contract: repository path (`sdk/src/contract/gen/…`) to file text, made from the .proto files with the
 * local compiler and plugin (`sdk/buf.gen.yaml`); needs no network. Nothing in the work tree is touched.
 */
export function generateContract(): Map<string, string> {
  const root = resolve(import.meta.dirname, '..');
  const outDirectory = mkdtempSync(join(tmpdir(), 'countersign-contract-'));
  try {
    execFileSync(process.execPath, [join(root, 'node_modules/@bufbuild/buf/bin/buf'), 'generate', '-o', outDirectory], {
      cwd: join(root, 'sdk'),
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const generated = join(outDirectory, GENERATED_UNDER);
    const files = new Map<string, string>();
    for (const path of readdirSync(generated, { recursive: true, encoding: 'utf8' }).toSorted()) {
      if (path.endsWith('.ts'))
        files.set(`sdk/${GENERATED_UNDER}/${path}`, readFileSync(join(generated, path), 'utf8'));
    }
    return files;
  } finally {
    rmSync(outDirectory, { recursive: true, force: true });
  }
}

const GENERATED_UNDER = 'src/contract/gen';
