/**
 * A program: a client resets its connection in the turn in which the gateway ends it, with answers that no turn has sent yet, some of which end before
 * their request. It ends, unless frames without end are made for them; who runs it gives it some seconds.
 */
import { block, END_HEADERS, FRAME, frame, PREFACE, pseudo, request } from './frames.ts';
import { openHttp } from './harness.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** `turns`: between the reset and the end, for the one that both fall into. */
async function leave(turns: number): Promise<void> {
  const bed = await openHttp();
  const unended = frame(FRAME.headers, END_HEADERS, 1, block(pseudo({ ':method': 'POST', ':path': '/first' })));
  bed.client.write(Buffer.concat([PREFACE, unended, request(3, pseudo()), request(5, pseudo({ ':path': '/last' }))]));
  for (const path of ['/first', '/v1/x', '/last']) await bed.heard(path);
  bed.client.resetAndDestroy();
  for (let left = turns; left > 0; left--) await turn();
  bed.end();
  await bed.served;
  await bed.close();
}

for (let round = 0; round < 3; round++) for (let turns = 0; turns < 6; turns++) await leave(turns);
