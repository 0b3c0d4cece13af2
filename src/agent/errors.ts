import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

/** Every way in which the agent fails, and what its operator does about it. */
export const errorTable = {
  ERR_AGENT_CONFIG: {
    status: 400,
    exit: 'config',
    meaning: 'The agent was configured with something that can not work.',
    remedy: 'Correct the named setting and start the agent again.',
  },
  ERR_AGENT_STATE: {
    status: 500,
    exit: 'config',
    meaning: 'A file that the agent keeps can not be trusted or read: wrong owner, mode, key or content.',
    remedy: 'Restore the named file, or remove the data folder and attest the node anew.',
  },
  ERR_AGENT_SOCKET: {
    status: 500,
    exit: 'config',
    meaning:
      'A socket path is unsafe or taken: a symbolic link, a folder others may write, or another process listens.',
    remedy: 'Give the agent a folder of its own that only root or the agent may write, and stop the other process.',
  },
  ERR_AGENT_RUNNING: {
    status: 409,
    exit: 'unavailable',
    meaning: 'Another agent runs on the same data folder.',
    remedy: 'Start with --replace to take over from it, without cutting anybody; or stop it first.',
  },
  ERR_AGENT_HANDOVER: {
    status: 409,
    exit: 'unavailable',
    meaning: 'A start with --replace did not take over from the agent that runs. That one goes on as before.',
    remedy: 'Mend what the message says and start again. Else stop the one that runs, then start: sessions end.',
  },
  ERR_AGENT_SERVER_IDENTITY: {
    status: 502,
    exit: 'config',
    meaning: 'What answered at the server address did not prove to be the server of the trust domain.',
    remedy:
      'Check the server address: somebody may be in between. If the server lost its keystore or its store, bring those back there (docs/guide/operations.md). A node that was away for longer than the authorities it knows (server.ca.ttl) is told the present ones by `countersign bundle show`, written to the file that agent.trustBundle names, and a start of the agent; with insecureBootstrap, remove node.sealed from its data folder instead.',
  },
  ERR_AGENT_SERVER_ANSWER: {
    status: 502,
    exit: 'unavailable',
    meaning: 'The server answered with something that its contract does not allow.',
    remedy: 'Check that server and agent versions fit together; report the message.',
  },
  ERR_AGENT_DENIED: {
    status: 403,
    exit: 'config',
    meaning:
      'The server refuses this node for good: its proof was denied, or it was evicted and can not prove itself again.',
    remedy: 'Let an operator admit the node (for join tokens: make a new token), then start the agent again.',
  },
  ERR_AGENT_PROOF: {
    status: 403,
    exit: 'config',
    meaning:
      'The server did not take this node’s proof: a join token that is unknown, used or expired, or a certificate that it does not accept.',
    remedy:
      'For a join token make a new one with `countersign node token`, with the same --agent-id, and put it where agent.joinToken says: the agent takes it up within half a minute, without a restart. A token works once, also when the agent ended before it had kept its identity.',
  },
  ERR_AGENT_BANNED: {
    status: 403,
    exit: 'config',
    meaning: 'The node was banned.',
    remedy: 'Find out why; after that, delete the banned node on the server and attest it anew.',
  },
  ERR_AGENT_REVOKED: {
    status: 403,
    exit: 'config',
    meaning: 'The node is revoked: nothing that comes through its agent counts.',
    remedy:
      'Find out why (`countersign revocation list`). Once that is lifted, delete the node on the server and attest it anew.',
  },
  ERR_AGENT_CALLER: {
    status: 403,
    exit: 'no',
    meaning: 'The calling process ended, or could not be told apart from another, before it was answered.',
    remedy: 'Nothing, if the process ended; otherwise see the log for the attestor that failed.',
  },
  ERR_AGENT_BUSY: {
    status: 429,
    exit: 'unavailable',
    meaning: 'A limit of the agent was reached.',
    remedy: 'Find the caller that opens so many streams or connections; the log names its uid.',
  },
  ERR_AGENT_GATEWAY: {
    status: 502,
    exit: 'unavailable',
    meaning: 'No gateway of a target could be reached, proved its identity and accepted the session.',
    remedy: 'Check the gateways of the target, and what the message says of each.',
  },
} as const satisfies ErrorTable;

/** A failure of the agent. */
export class AgentError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
