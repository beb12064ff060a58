# mysql2 and ActiveRecord. Arguments: client, port. Prints what programs_test.py expects.
client, port = ARGV
OPTIONS = { host: '127.0.0.1', port: port.to_i, username: 'root', database: 'z4' }.freeze
TASKS = 'SELECT payload, last_retry FROM tasks WHERE namespace = ? AND deliver_at >= ? AND deliver_at < ? ORDER BY deliver_at'.freeze
BOUNDS = ['welcome_emails', Time.utc(2000), '2100-01-01'].freeze

def shown(value)
  case value
  when nil then 'NULL'
  when Time then value.strftime('%F %T.%L')
  when Float, Integer, Date then value.to_s
  when BigDecimal then value.to_s('F').sub(/\.(\d)\z/, '.\10')
  else value.encoding == Encoding::BINARY ? value.unpack1('H*') : value
  end
end

def mysql2
  require 'mysql2'
  connect = ->(**more) { Mysql2::Client.new(**OPTIONS, **more) }
  c = connect.call
  one = ->(sql, *values) { (values.empty? ? c.query(sql) : c.prepare(sql).execute(*values)).first.values.first }
  puts "connect #{one.call('SELECT DATABASE()')}"
  puts "tables #{c.query('SHOW TABLES').map { |row| row.values.first }.join(' ')}"
  puts "columns #{c.query('SELECT * FROM tasks LIMIT 1').fields.join(' ')}"
  rows = c.prepare(TASKS).execute(*BOUNDS).to_a
  puts "query #{rows.size} #{rows.first.values.map { |value| shown(value) }.join(' ')}"
  [['int', '?', -42], ['unsigned', 'CAST(? AS UNSIGNED)', 2**64 - 1], ['double', '?', 1.5], ['decimal', 'CAST(? AS DECIMAL(10,2))', BigDecimal('2.50')],
   ['text', '?', 'ünï'], ['bytes', 'CAST(? AS BINARY)', "\xff\x00".b], ['date', 'CAST(? AS DATE)', Date.new(2024, 1, 2)],
   ['datetime', 'CAST(? AS DATETIME(3))', Time.utc(2024, 1, 2, 3, 4, 5, 678_000)], ['null', '?', nil]].each do |name, expression, value|
    puts "#{name} #{shown(c.prepare("SELECT #{expression}").execute(value).first.values.first)}"
  end
  c.query('BEGIN')
  three = one.call('SELECT 3')
  c.query('COMMIT')
  puts "transaction #{three}"
  begin
    c.query('SELECT * FROM tasks')
  rescue Mysql2::Error => e
    puts "error #{e.error_number}"
  end
  killed = connect.call
  c.query("KILL #{killed.thread_id}")
  begin
    killed.query('SELECT 1')
    puts 'a killed connection answers'
  rescue Mysql2::Error
    puts "reconnect #{connect.call.query('SELECT 4').first.values.first}"
  end
  several = connect.call(flags: Mysql2::Client::MULTI_STATEMENTS)
  five = several.query('SELECT 5; SELECT 6').first.values.first
  several.next_result
  puts "multi #{five} #{several.store_result.first.values.first}"
  puts "compressed #{connect.call(flags: Mysql2::Client::COMPRESS).query("SELECT REPEAT('abc', 100000) AS x").first['x'].size}"
end

def active_record
  require 'active_record'
  ActiveRecord::Base.establish_connection(adapter: 'mysql2', **OPTIONS)
  namespaces = Class.new(ActiveRecord::Base) { self.table_name = 'namespaces' }
  tasks = Class.new(ActiveRecord::Base) { self.table_name = 'tasks' }
  c = ActiveRecord::Base.connection
  puts "connect #{c.current_database}"
  puts "tables #{c.tables.sort.join(' ')}"
  puts "columns #{tasks.column_names.join(' ')}"
  rows = tasks.where(namespace: 'welcome_emails', deliver_at: Time.utc(2000)..Time.utc(2100)).order(:deliver_at).to_a
  puts "query #{rows.size} #{shown(rows.first.payload)} #{shown(rows.first.last_retry)}"
  three = ActiveRecord::Base.transaction { c.select_value('SELECT 3') }
  puts "transaction #{three}"
  begin
    tasks.all.to_a
  rescue ActiveRecord::StatementInvalid => e
    puts "error #{e.cause.error_number}"
  end
  Mysql2::Client.new(**OPTIONS).query("KILL #{c.select_value('SELECT CONNECTION_ID()')}")
  begin
    c.select_value('SELECT 1')
    puts 'a killed connection answers'
  rescue ActiveRecord::StatementInvalid
    c.reconnect!
    puts "reconnect #{c.select_value('SELECT 4')}"
  end
  puts "built #{namespaces.find('welcome_emails').scheduled}"
  puts "keys #{tasks.primary_key}"
end

client == 'mysql2' ? (require 'bigdecimal'; require 'date'; mysql2) : active_record
