// @grpc/grpc-js: many small creates on a stream, then as many deliveries at the largest credit, each acknowledged in a message of its own.
// Arguments: address, namespace, tasks, the .proto file.
const assert = require('assert');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const CREDIT_MAX = 65536;

// Sends as fast as the socket takes it; resolves when each create is answered.
function create(stream, namespace, tasks) {
  return new Promise((resolve, reject) => {
    let answered = 0;
    stream.on('data', (answer) => {
      if (answer.status !== 0) reject(new Error(`create ${answered}: ${answer.status} ${answer.message}`));
      answered += 1;
    });
    stream.on('error', reject);
    stream.on('end', () => (answered === tasks ? resolve() : reject(new Error(`${answered} of ${tasks} creates were answered`))));
    let n = 0;
    const send = () => {
      while (n < tasks) {
        const more = stream.write({ namespace, payload: Buffer.from(String(n).padStart(8, '0')) });
        n += 1;
        if (!more) {
          stream.once('drain', send);
          return;
        }
      }
      stream.end();
    };
    send();
  });
}

// Takes and acknowledges every task; each must come once.
function consume(client, namespace, tasks) {
  return new Promise((resolve, reject) => {
    const stream = client.consume();
    const seen = new Set();
    let acked = 0;
    stream.on('data', ({ results, deliveries }) => {
      for (const result of results) {
        if (result.status !== 0) reject(new Error(`ack ${acked}: ${result.status} ${result.message}`));
        acked += 1;
      }
      for (const { task, token } of deliveries) {
        const payload = task.payload.toString();
        if (seen.has(payload)) reject(new Error(`${payload} was delivered twice`));
        seen.add(payload);
        stream.write({ acks: [{ namespace, taskId: task.id, token }], credit: 1 });
      }
      if (acked === tasks) stream.end();
    });
    stream.on('error', reject);
    stream.on('end', () => (seen.size === tasks && acked === tasks ? resolve()
      : reject(new Error(`${seen.size} delivered, ${acked} acknowledged of ${tasks}`))));
    stream.write({ open: { namespaces: [namespace] }, credit: CREDIT_MAX });
  });
}

async function main() {
  const [address, namespace, count, proto] = process.argv.slice(2);
  const tasks = Number(count);
  // Tokens have 64 bits.
  const { z4 } = grpc.loadPackageDefinition(loader.loadSync(proto, { longs: String, defaults: true }));
  const client = new z4.Collection(address, grpc.credentials.createInsecure());
  const live = () => new Promise((resolve, reject) => {
    client.getNamespace({ namespace: name }, (error, answer) => (error ? reject(error) : resolve(Number(answer.live))));
  });
  let name;
  for (const way of ['createTaskStream', 'createTaskStreamAsync']) {
    name = `${namespace}-${way}`;
    const since = Date.now();
    await create(client[way](), name, tasks);
    // Asynchronous ones are answered before they are done.
    while (way.endsWith('Async') && (await live()) < tasks) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.strictEqual(await live(), tasks);
    const created = Date.now() - since;
    await consume(client, name, tasks);
    assert.strictEqual(await live(), 0);
    console.log(`${way}: ${tasks} created in ${created} ms, consumed in ${Date.now() - since - created} ms`);
  }
  client.close();
  console.log('node ok');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
