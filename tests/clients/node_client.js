// mysql2 for Node: text and binary protocol, streams, errors. Arguments: port, namespace, user, password.
const assert = require('assert');
const mysql = require('mysql2/promise');

async function main() {
  const [port, namespace, user, password] = process.argv.slice(2);
  const connection = await mysql.createConnection({ host: '127.0.0.1', port: Number(port), user, password, database: 'z4' });
  const where = 'namespace = ? AND deliver_at BETWEEN ? AND ?';
  const values = [namespace, '2000-01-01', new Date('2100-01-01T00:00:00Z')];
  for (const ask of ['query', 'execute']) {
    const [rows, columns] = await connection[ask](`SELECT * FROM tasks WHERE ${where} ORDER BY deliver_at`, values);
    assert.ok(rows.length > 0, ask);
    assert.ok(rows[0].deliver_at instanceof Date, `${ask}: deliver_at is a date`);
    assert.ok(Buffer.isBuffer(rows[0].payload), `${ask}: payload is bytes`);
    assert.deepStrictEqual([...rows[0].payload], [0, 255]);
    assert.strictEqual(typeof rows[0].attempts, 'number');
    assert.strictEqual(typeof rows[0].metadata, 'object', `${ask}: metadata is JSON`);
    assert.strictEqual(columns.length, 11);
  }
  await assert.rejects(connection.query('SELECT * FROM tasks'), (error) => error.errno === 1175 && /deliver_at/.test(error.message));
  await assert.rejects(connection.execute('DELETE FROM tasks'), (error) => error.errno === 1290);
  await connection.changeUser({ user, password, database: 'z4' });
  assert.deepStrictEqual((await connection.query('SELECT 1 AS x'))[0], [{ x: 1 }]);
  connection.destroy();
  console.log('node ok');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
