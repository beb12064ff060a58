# DBD::mysql and DBD::MariaDB. Arguments: client, port. Prints what programs_test.py expects.
use strict;
use warnings;
use utf8;
use DBI qw(:sql_types);
binmode STDOUT, ':utf8';

my ($client, $port) = @ARGV;
my $lower = lc $client;
my $tasks = 'SELECT payload, last_retry FROM tasks WHERE namespace = ? AND deliver_at >= ? AND deliver_at < ? ORDER BY deliver_at';

sub connected {
    my (%more) = @_;
    my $options = join '', map { ";${lower}_$_=$more{$_}" } sort keys %more;
    my %how = (RaiseError => 1, PrintError => 0, $client eq 'mysql' ? (mysql_enable_utf8mb4 => 1) : ());
    return DBI->connect("dbi:$client:host=127.0.0.1;port=$port;database=z4$options", 'root', '', \%how);
}

sub shown {
    my ($value, $name) = @_;
    return 'NULL' unless defined $value;
    return $name eq 'bytes' ? unpack('H*', $value) : $value;
}

my $c = connected(server_prepare => 1);
print "connect ", $c->selectrow_array('SELECT DATABASE()'), "\n";
print "tables @{$c->selectcol_arrayref('SHOW TABLES')}\n";
my $look = $c->prepare('SELECT * FROM tasks LIMIT 1');
$look->execute;
print "columns @{$look->{NAME}}\n";
$look->finish;
my $rows = $c->selectall_arrayref($tasks, undef, 'welcome_emails', '2000-01-01', '2100-01-01');
print "query ", scalar(@$rows), " ", join(' ', map { shown($_, 'bytes') } @{$rows->[0]}), "\n";
for (['int', '?', -42, SQL_INTEGER], ['unsigned', 'CAST(? AS UNSIGNED)', '18446744073709551615', SQL_VARCHAR], ['double', '?', 1.5, SQL_DOUBLE],
    ['decimal', 'CAST(? AS DECIMAL(10,2))', '2.50', SQL_DECIMAL], ['text', 'CAST(? AS CHAR)', 'ünï', SQL_VARCHAR], ['bytes', '?', "\xff\x00", SQL_BLOB],
    ['date', 'CAST(? AS DATE)', '2024-01-02', SQL_VARCHAR], ['datetime', 'CAST(? AS DATETIME(3))', '2024-01-02 03:04:05.678', SQL_VARCHAR],
    ['null', '?', undef, SQL_VARCHAR]) {
    my ($name, $expression, $value, $type) = @$_;
    my $s = $c->prepare("SELECT $expression");
    $s->bind_param(1, $value, $type);
    $s->execute;
    print "$name ", shown($s->fetchrow_array, $name), "\n";
    $s->finish;
}
$c->begin_work;
my ($three) = $c->selectrow_array('SELECT 3');
$c->commit;
print "transaction $three\n";
eval { $c->selectall_arrayref('SELECT * FROM tasks') };
print "error ", $c->err, "\n";
my $killed = connected();
my ($id) = $killed->selectrow_array('SELECT CONNECTION_ID()');
$c->do("KILL $id");
eval { $killed->selectrow_array('SELECT 1') } and print "a killed connection answers\n";
print "reconnect ", connected()->selectrow_array('SELECT 4'), "\n";
my $several = connected(multi_statements => 1)->prepare('SELECT 5; SELECT 6');
$several->execute;
my ($five) = $several->fetchrow_array;
$several->more_results;
print "multi $five ", $several->fetchrow_array, "\n";
print "compressed ", length(connected(compression => 1)->selectrow_array("SELECT REPEAT('abc', 100000)")), "\n";
print "tables ", join(' ', map { s/.*\.//r =~ tr/`//dr } $c->tables(undef, undef, '%', 'TABLE')), "\n";
print "groups ", join(' ', map { $_->{COLUMN_NAME} } @{$c->column_info(undef, 'z4', 'groups', '%')->fetchall_arrayref({})}), "\n";
print "keys ", join(' ', $c->primary_key(undef, 'z4', 'tasks')), "\n";
