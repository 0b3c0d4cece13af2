import type { Stage } from './stage.ts';
import { type Shown, StepFailed } from './teller.ts';

/** What the client saw of the API. */
export interface ApiReport {
  readonly read?: { readonly status: number; readonly body: { readonly name?: string; readonly ssn?: string } };
  readonly denied?: { readonly status: number; readonly body: { readonly title?: string; readonly hint?: string } };
  readonly error?: string;
  readonly received: string;
}

/** The client asks the API, without its key. */
export async function askApi(stage: Stage): Promise<ApiReport> {
  return JSON.parse((await stage.runAs(stage.client, 'api-client.ts', [stage.apiSocketDir])).stdout);
}

/** Holds what it saw against what it should have, and shows it. */
export function showApi(stage: Stage, { read, denied, error, received }: ApiReport): Shown {
  if (read?.status !== 200 || read.body.name !== 'Ada Lovelace')
    throw new StepFailed(`the client was not answered: ${error ?? JSON.stringify(read)}`);
  if (read.body.ssn !== '[redacted]' || Buffer.from(received, 'base64').includes('123-45-6789'))
    throw new StepFailed('the field ssn came through');
  if (denied?.status !== 403 || denied.body.hint === undefined)
    throw new StepFailed(`the DELETE was not refused as it should: ${JSON.stringify(denied)}`);
  return {
    lines: [
      `Node’s own HTTP client, user ${stage.client.uid}, ${stage.apiSocketDir}/http.sock, no key:`,
      `  GET /v1/customers/1     200 ${read.body.name}, ssn ${read.body.ssn}`,
      `  DELETE /v1/customers/1  403 ${denied.body.title}`,
    ],
    facts: { read, denied },
  };
}
