<?php
// mysqli and PDO. Arguments: client, port. Prints what programs_test.py expects.
[, $client, $port] = $argv;
const TASKS = 'SELECT payload, last_retry FROM tasks WHERE namespace = ? AND deliver_at >= ? AND deliver_at < ? ORDER BY deliver_at';
const BOUNDS = ['welcome_emails', '2000-01-01', '2100-01-01'];
// Name, expression, value, how mysqli binds it.
const VALUES = [
    ['int', '?', -42, 'i'],
    ['unsigned', 'CAST(? AS UNSIGNED)', '18446744073709551615', 's'],
    ['double', '?', 1.5, 'd'],
    ['decimal', 'CAST(? AS DECIMAL(10,2))', '2.50', 's'],
    ['text', '?', 'ünï', 's'],
    ['bytes', 'CAST(? AS BINARY)', "\xff\x00", 'b'],
    ['date', 'CAST(? AS DATE)', '2024-01-02', 's'],
    ['datetime', 'CAST(? AS DATETIME(3))', '2024-01-02 03:04:05.678', 's'],
    ['null', '?', null, 's'],
];

function shown($value, string $name = 'bytes'): string
{
    return $value === null ? 'NULL' : ($name === 'bytes' ? bin2hex($value) : (string) $value);
}

function say(...$words): void
{
    echo implode(' ', $words), "\n";
}

function mysqli_walk(int $port): void
{
    $connect = function (int $flags = 0) use ($port): mysqli {
        $m = mysqli_init();
        $m->real_connect('127.0.0.1', 'root', '', 'z4', $port, null, $flags);
        return $m;
    };
    $m = $connect();
    say('connect', $m->query('SELECT DATABASE()')->fetch_row()[0]);
    say('tables', ...array_column($m->query('SHOW TABLES')->fetch_all(), 0));
    say('columns', ...array_column($m->query('SELECT * FROM tasks LIMIT 1')->fetch_fields(), 'name'));
    $rows = $m->execute_query(TASKS, BOUNDS)->fetch_all();
    say('query', count($rows), ...array_map('shown', $rows[0]));
    foreach (VALUES as [$name, $expression, $value, $type]) {
        $s = $m->prepare("SELECT $expression");
        $none = null;
        if ($type === 'b') {
            $s->bind_param('b', $none);
            $s->send_long_data(0, $value);
        } else {
            $s->bind_param($type, $value);
        }
        $s->execute();
        say($name, shown($s->get_result()->fetch_row()[0], $name));
    }
    $m->begin_transaction();
    $three = $m->query('SELECT 3')->fetch_row()[0];
    $m->commit();
    say('transaction', $three);
    try {
        $m->query('SELECT * FROM tasks');
    } catch (mysqli_sql_exception $error) {
        say('error', $error->getCode());
    }
    $killed = $connect();
    $m->query('KILL ' . $killed->thread_id);
    try {
        $killed->query('SELECT 1');
        say('a killed connection answers');
    } catch (mysqli_sql_exception) {
        say('reconnect', $connect()->query('SELECT 4')->fetch_row()[0]);
    }
    $m->multi_query('SELECT 5; SELECT 6');
    $several = [];
    do {
        $several[] = $m->store_result()->fetch_row()[0];
    } while ($m->more_results() && $m->next_result());
    say('multi', ...$several);
    $squeezed = $connect(MYSQLI_CLIENT_COMPRESS);
    say('compressed', strlen($squeezed->query("SELECT REPEAT('abc', 100000)")->fetch_row()[0]));
    $m->change_user('root', '', 'z4');
    say('user', $m->query('SELECT DATABASE()')->fetch_row()[0]);
}

function pdo_walk(int $port, bool $emulated): void
{
    $connect = fn (array $options = []) => new PDO("mysql:host=127.0.0.1;port=$port;dbname=z4", 'root', '', $options + [
        PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
        PDO::ATTR_EMULATE_PREPARES => $emulated,
    ]);
    $p = $connect();
    say('connect', $p->query('SELECT DATABASE()')->fetchColumn());
    say('tables', ...$p->query('SHOW TABLES')->fetchAll(PDO::FETCH_COLUMN));
    $look = $p->query('SELECT * FROM tasks LIMIT 1');
    say('columns', ...array_map(fn ($at) => $look->getColumnMeta($at)['name'], range(0, $look->columnCount() - 1)));
    $look->closeCursor();
    $s = $p->prepare(TASKS);
    $s->execute(BOUNDS);
    $rows = $s->fetchAll(PDO::FETCH_NUM);
    say('query', count($rows), ...array_map('shown', $rows[0]));
    $types = ['i' => PDO::PARAM_INT, 'b' => PDO::PARAM_LOB];
    foreach (VALUES as [$name, $expression, $value, $type]) {
        $s = $p->prepare("SELECT $expression");
        $s->bindValue(1, $value, $value === null ? PDO::PARAM_NULL : ($types[$type] ?? PDO::PARAM_STR));
        $s->execute();
        say($name, shown($s->fetchColumn(), $name));
        $s->closeCursor();
    }
    $p->beginTransaction();
    $three = $p->query('SELECT 3')->fetchColumn();
    $p->commit();
    say('transaction', $three);
    try {
        $p->query('SELECT * FROM tasks');
    } catch (PDOException $error) {
        say('error', $error->errorInfo[1]);
    }
    $killed = $connect();
    $p->exec('KILL ' . $killed->query('SELECT CONNECTION_ID()')->fetchColumn());
    try {
        @$killed->query('SELECT 1');
        say('a killed connection answers');
    } catch (PDOException) {
        say('reconnect', $connect()->query('SELECT 4')->fetchColumn());
    }
    if ($emulated) {
        $several = $p->query('SELECT 5; SELECT 6');
        $five = $several->fetchColumn();
        $several->nextRowset();
        say('multi', $five, $several->fetchColumn());
    }
    $squeezed = $connect([PDO::MYSQL_ATTR_COMPRESS => true]);
    say('compressed', strlen($squeezed->query("SELECT REPEAT('abc', 100000)")->fetchColumn()));
}

match ($client) {
    'mysqli' => mysqli_walk((int) $port),
    'PDO' => pdo_walk((int) $port, true),
    'PDO on the server' => pdo_walk((int) $port, false),
};
