/** The shop of the guides, as a newcomer has it who has followed the first of them: what the pages for languages build on. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as tls from 'node:tls';
import { documents } from '../../docs/markdown.ts';
import { createReader, type Reader } from '../../docs/reader.ts';
import { eventually } from '../../support/eventually.ts';
import { startSvidFiles } from '../../support/ways.ts';

/** Opens it: tables, entries, target and policy of `examples/shop`, and the files of the web service's SVID, kept fresh. */
export async function openShop(): Promise<Reader> {
  const reader = await createReader();
  try {
    const { stack } = reader;
    for (const block of documents().find(({ file }) => file === FIRST)?.blocks ?? [])
      if (block.info === 'dba') await reader.sql(block);
    await must(reader, 'cp -r /opt/countersign/examples . && cp -r examples/shop countersign.d');
    await must(reader, 'countersign apply -f countersign.d --yes');
    await must(reader, 'sudo install -d -o shop-web -m 0700 /run/shop-web/svid');
    stack.canaries.allowTraces(path.join(reader.work, 'run-migrations'));
    const { daemon } = await startSvidFiles(stack, path.join(reader.work, 'svid'));
    await eventually('the gateway shows the name that programs know it by', () => showsName(stack.folder.directPort));
    const stop = async () => {
      await daemon.end('SIGKILL');
      await reader[Symbol.asyncDispose]();
    };
    return { ...reader, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await reader[Symbol.asyncDispose]();
    throw error;
  }
}

/** Lets identities of the web service live only that long. */
export async function shortenLives(reader: Reader, x509Ttl: string): Promise<void> {
  const file = path.join(reader.work, 'countersign.d/entries.yaml');
  const text = fs.readFileSync(file, 'utf8');
  fs.writeFileSync(file, text.replace('spiffe://example.org/shop/web\n', `$&  x509Ttl: ${x509Ttl}\n`));
  await must(reader, 'countersign apply -f countersign.d --yes');
}

async function must(reader: Reader, text: string): Promise<void> {
  const { code, stdout, stderr } = await reader.shell({ text });
  if (code !== 0) throw new Error(`${text} ended with ${code}:\n${stdout}${stderr}`);
}

function showsName(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['postgresql'] });
    const end = (found: boolean) => {
      socket.destroy();
      resolve(found);
    };
    socket.once('secureConnect', () => end(/DNS:localhost\b/.test(socket.getPeerCertificate().subjectaltname ?? '')));
    socket.once('error', () => end(false));
  });
}

const FIRST = 'docs/guide/first-target.md';
