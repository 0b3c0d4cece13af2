/**
 * The client of the tour: an ordinary program with an unmodified driver (node-postgres) and no credential. Prints what it saw as JSON,
 * with every byte that came over its socket (base64). Argument: folder of the target's socket.
 */
import { Socket } from 'node:net';
import pg from 'pg';

const [host = ''] = process.argv.slice(2);
const received: Buffer[] = [];

function tappedSocket(): Socket {
  const socket = new Socket();
  socket.on('data', (chunk) => void received.push(Buffer.from(chunk)));
  return socket;
}

const seen: Record<string, unknown> = { uid: process.getuid?.() };
// The stream option lets the program look at its own bytes; the driver itself is as it comes from npm.
const client = new pg.Client({ host, user: 'anyone', stream: tappedSocket });
try {
  await client.connect();
  seen['rows'] = (await client.query('select id, name, ssn, city from customers order by id')).rows;
  seen['denied'] = await client.query('delete from customers').then(
    () => undefined,
    (error: { code?: string; message: string; detail?: string }) => ({
      code: error.code,
      message: error.message,
      detail: error.detail,
    }),
  );
  seen['after'] = (await client.query('select count(*)::int as count from customers where id > $1', [0])).rows;
  await client.end();
} catch (error) {
  seen['error'] = error instanceof Error ? error.message : String(error);
}
seen['received'] = Buffer.concat(received).toString('base64');
process.stdout.write(`${JSON.stringify(seen)}\n`);
