// Node's drivers and query builders, each as its documentation shows it. Arguments: client, port. Prints what programs_test.py expects.
const [client, port] = [process.argv[2], Number(process.argv[3])];
const where = { host: '127.0.0.1', port, user: 'root', database: 'z4' };
const TASKS = 'SELECT payload, last_retry FROM tasks WHERE namespace = ? AND deliver_at >= ? AND deliver_at < ? ORDER BY deliver_at';
const BOUNDS = ['welcome_emails', new Date('2000-01-01T00:00:00Z'), '2100-01-01'];
const VALUES = [
  ['int', '?', -42],
  ['unsigned', 'CAST(? AS UNSIGNED)', 18446744073709551615n],
  ['double', '?', 1.5],
  ['decimal', 'CAST(? AS DECIMAL(10,2))', '2.50'],
  ['text', '?', 'ünï'],
  ['bytes', '?', Buffer.from([255, 0])],
  ['date', 'CAST(? AS DATE)', '2024-01-02'],
  ['datetime', 'CAST(? AS DATETIME(3))', new Date(Date.UTC(2024, 0, 2, 3, 4, 5, 678))],
  ['null', '?', null],
];

function shown(value, name) {
  if (value === null) return 'NULL';
  if (Buffer.isBuffer(value)) return name === 'text' ? value.toString() : value.toString('hex');
  if (value instanceof Date) return value.toISOString().replace('T', ' ').replace('Z', '').slice(0, name === 'date' ? 10 : 23);
  return String(value);
}

// `connect` gives { ask(sql, values) → rows as arrays, names() of the last rows, begin(), commit(), end() }.
async function walk(connect, more = {}) {
  const c = await connect({});
  console.log('connect', (await c.ask('SELECT DATABASE()'))[0][0]);
  console.log('tables', ...(await c.ask('SHOW TABLES')).map(([name]) => name));
  await c.ask('SELECT * FROM tasks LIMIT 1');
  console.log('columns', ...c.names());
  const rows = await c.ask(TASKS, BOUNDS);
  console.log('query', rows.length, ...rows[0].map((value) => shown(value)));
  for (const [name, expression, value] of VALUES) {
    console.log(name, shown((await c.ask(`SELECT ${expression} AS x`, [value]))[0][0], name));
  }
  await c.begin();
  const three = (await c.ask('SELECT 3'))[0][0];
  await c.commit();
  console.log('transaction', Number(three));
  await c.ask('SELECT * FROM tasks').then(() => console.log('no error'), (error) => console.log('error', (error.original ?? error).errno));
  const killed = await connect({});
  const id = (await killed.ask('SELECT CONNECTION_ID()'))[0][0];
  await c.ask(`KILL ${id}`);
  // A pool forgets what is broken; a connection's owner connects again.
  const again = await killed.ask('SELECT 4').then((rows) => rows, async () => (await connect({})).ask('SELECT 4'));
  console.log('reconnect', Number(again[0][0]));
  if (more.several) console.log('multi', ...(await more.several(await connect({ multipleStatements: true }))).map(Number));
  if (more.compress) {
    const squeezed = await connect({ compress: true });
    console.log('compressed', (await squeezed.ask("SELECT REPEAT('abc', 100000)"))[0][0].length);
  }
}

const clients = {
  mysql() {
    const mysql = require('mysql');
    const connect = (options) => new Promise((resolve, reject) => {
      const connection = mysql.createConnection({ ...where, timezone: 'Z', supportBigNumbers: true, bigNumberStrings: true, ...options });
      connection.on('error', () => {});
      let names = [];
      const plain = (values) => values?.map((value) => (typeof value === 'bigint' ? String(value) : value));
      const ask = (sql, values) => new Promise((resolve, reject) => connection.query(sql, plain(values), (error, rows, fields) => {
        if (error) return reject(error);
        names = fields?.map((field) => field.name ?? field[0].name);
        resolve(fields ? rows.map((row) => Object.values(row)) : []);
      }));
      const turn = (name) => () => new Promise((resolve, reject) => connection[name]((error) => (error ? reject(error) : resolve())));
      const all = { ask, names: () => names, begin: turn('beginTransaction'), commit: turn('commit') };
      connection.connect((error) => (error ? reject(error) : resolve(all)));
    });
    return walk(connect, { several: async (c) => (await c.ask('SELECT 5 AS x; SELECT 6 AS x')).map(([row]) => row.x) });
  },
  mysql2() {
    const mysql = require('mysql2/promise');
    const connect = async (options) => {
      const connection = await mysql.createConnection({ ...where, timezone: 'Z', supportBigNumbers: true, ...options });
      connection.connection.on('error', () => {});
      let names = [];
      const plain = (values) => values?.map((value) => (typeof value === 'bigint' ? String(value) : value));
      const ask = async (sql, values) => {
        const [rows, fields] = await (values ? connection.execute({ sql, rowsAsArray: true }, plain(values)) : connection.query({ sql, rowsAsArray: true }));
        names = fields?.map((field) => field.name ?? field[0].name);
        return rows;
      };
      return { ask, names: () => names, begin: () => connection.beginTransaction(), commit: () => connection.commit() };
    };
    return walk(connect, { several: async (c) => (await c.ask('SELECT 5; SELECT 6')).map(([row]) => row[0]), compress: true });
  },
  mariadb() {
    const mariadb = require('mariadb');
    const connect = async (options) => {
      const connection = await mariadb.createConnection({ ...where, timezone: 'Z', ...options });
      connection.on('error', () => {});
      let names = [];
      const ask = async (sql, values) => {
        const rows = await connection[values ? 'execute' : 'query']({ sql, rowsAsArray: true }, values);
        names = rows.meta?.map((column) => column.name());
        return rows;
      };
      return { ask, names: () => names, begin: () => connection.beginTransaction(), commit: () => connection.commit() };
    };
    return walk(connect, { several: async (c) => (await c.ask('SELECT 5; SELECT 6')).map(([row]) => row[0]), compress: true });
  },
  async knex() {
    const connect = async () => {
      const knex = require('knex')({ client: 'mysql2', connection: { ...where, timezone: 'Z', supportBigNumbers: true }, pool: { min: 0, max: 1 } });
      let names = [];
      let asks = knex;
      const ask = async (sql, values) => {
        const [rows, fields] = await asks.raw(sql, values?.map((value) => (typeof value === 'bigint' ? String(value) : value)) ?? []);
        names = fields?.map((field) => field.name);
        return fields ? rows.map((row) => Object.values(row)) : [];
      };
      connect.all.push(knex);
      return {
        ask, knex, names: () => names, begin: async () => { asks = await knex.transaction(); }, commit: async () => { await asks.commit(); asks = knex; },
      };
    };
    connect.all = [];
    await walk(connect);
    const { knex } = await connect();
    console.log('built', (await knex('namespaces').where('name', 'welcome_emails').select('scheduled'))[0].scheduled);
    console.log('columns', ...Object.keys(await knex('tasks').columnInfo()));
    await Promise.all(connect.all.map((knex) => knex.destroy()));
  },
  async sequelize() {
    const { Sequelize, DataTypes } = require('sequelize');
    const options = { dialect: 'mysql', host: where.host, port, logging: false, pool: { max: 1 } };
    const connect = async () => {
      const sequelize = new Sequelize('z4', 'root', '', options);
      await sequelize.authenticate();
      let transaction;
      let names = [];
      const ask = async (sql, values) => {
        const replacements = values?.map((value) => (typeof value === 'bigint' ? String(value) : value));
        const [rows] = await sequelize.query(sql, { replacements, transaction });
        names = Array.isArray(rows) && rows.length ? Object.keys(rows[0]) : [];
        return Array.isArray(rows) ? rows.map((row) => Object.values(row)) : [];
      };
      connect.all.push(sequelize);
      return {
        ask, sequelize, names: () => names,
        begin: async () => { transaction = await sequelize.transaction(); },
        commit: async () => { await transaction.commit(); transaction = undefined; },
      };
    };
    connect.all = [];
    await walk(connect);
    const { sequelize } = await connect();
    const Namespaces = sequelize.define('namespaces', { name: { type: DataTypes.STRING, primaryKey: true }, scheduled: DataTypes.BIGINT },
      { timestamps: false, freezeTableName: true });
    console.log('built', (await Namespaces.findByPk('welcome_emails')).scheduled);
    console.log('columns', ...Object.keys(await sequelize.getQueryInterface().describeTable('tasks')));
    console.log('tables', ...(await sequelize.getQueryInterface().showAllTables()).map((table) => table.tableName ?? table).sort());
    await Promise.all(connect.all.map((sequelize) => sequelize.close()));
  },
  async typeorm() {
    const { DataSource, EntitySchema } = require('typeorm');
    const Namespace = new EntitySchema({ name: 'namespaces', columns: { name: { type: 'varchar', primary: true }, scheduled: { type: 'bigint' } } });
    const connect = async () => {
      const source = new DataSource({ type: 'mysql', ...where, username: where.user, timezone: 'Z', entities: [Namespace], poolSize: 1 });
      await source.initialize();
      let runner = source.createQueryRunner();
      let names = [];
      const ask = async (sql, values) => {
        const rows = await runner.query(sql, values?.map((value) => (typeof value === 'bigint' ? String(value) : value)));
        names = rows.length ? Object.keys(rows[0]) : [];
        return Array.isArray(rows) ? rows.map((row) => Object.values(row)) : [];
      };
      connect.all.push(source);
      return { ask, source, runner, names: () => names, begin: () => runner.startTransaction(), commit: () => runner.commitTransaction() };
    };
    connect.all = [];
    await walk(connect);
    const { source, runner } = await connect();
    await runner.release();
    console.log('built', (await source.getRepository(Namespace).findOneBy({ name: 'welcome_emails' })).scheduled);
    const table = await source.createQueryRunner().getTable('tasks');
    console.log('columns', ...table.columns.map((column) => column.name));
  },
};

if (!clients[client]) throw new Error(`there is no client ${client}`);
clients[client]().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
