import { connect, type TcpNetConnectOpts } from 'node:net';

/** Whether anything takes connections there, within `timeout` in milliseconds. Says nothing to it. */
export function takesConnection(at: TcpNetConnectOpts): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(at);
    const end = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.on('connect', () => end(true));
    socket.on('error', () => end(false));
    socket.on('timeout', () => end(false));
  });
}
