require 'active_record'

CONNECTION = { adapter: 'postgresql', database: ENV['PGDATABASE'], host: ENV['PGHOST'], port: ENV['PGPORT'], username: ENV['PGUSER'] }
ActiveRecord::Base.establish_connection(CONNECTION)
ActiveRecord::Migration.verbose = false

def step(name)
  puts "#{name}: #{yield.inspect}"
rescue StandardError => e
  puts "#{name} failed: #{e.class} #{e.message.lines.first(3).join.strip}"
end

class First < ActiveRecord::Migration[6.1]
  def change
    enable_extension 'uuid-ossp'
    create_table(:customers) do |t|
      t.string :name, null: false, index: { unique: true }
      t.uuid :key, default: -> { 'uuid_generate_v4()' }
      t.jsonb :about, default: {}
      t.text :tags, array: true, default: []
      t.timestamps
    end
    create_table(:orders) do |t|
      t.references :customer, foreign_key: { on_delete: :cascade }
      t.decimal :total, precision: 10, scale: 2
    end
  end
end

class Second < ActiveRecord::Migration[6.1]
  disable_ddl_transaction!
  def up
    execute "create function twice(int) returns int language sql as 'select $1 * 2'"
    execute 'create view doubled as select id, twice(id::int) as n from customers'
    add_index :orders, :total, algorithm: :concurrently
    add_column :customers, :mood, :string, default: 'low', null: false
    add_check_constraint :orders, 'total >= 0', name: 'not_negative'
  end
  def down
    execute 'drop view doubled; drop function twice(int)'
    remove_column :customers, :mood
    remove_index :orders, :total
    remove_check_constraint :orders, name: 'not_negative'
  end
end

class Customer < ActiveRecord::Base
  has_many :orders
  validates :name, uniqueness: true
end

class Order < ActiveRecord::Base
  belongs_to :customer
end

class Elsewhere < ActiveRecord::Base
  self.abstract_class = true
end

step('first') { First.migrate(:up) && 'up' }
step('second') { Second.migrate(:up) && 'up' }
step('down') { Second.migrate(:down) && 'down' }
step('second again') { Second.migrate(:up) && 'up' }
Customer.reset_column_information
step('in one') { ActiveRecord::Base.transaction { ActiveRecord::Base.connection.create_table(:brief) { |t| t.integer :a }; ActiveRecord::Base.connection.execute('insert into brief (a) values (1)'); ActiveRecord::Base.connection.select_value('select a from brief') } }
step('create') { Customer.create!(name: 'ada', about: { a: 1 }, tags: %w[x y]).id }
step('read') { Customer.find_by(name: 'ada').slice(:name, :about, :tags, :mood) }
step('insert all') { Customer.insert_all((1..2000).map { |n| { name: "n#{n}", created_at: Time.at(0), updated_at: Time.at(0) } }).length }
step('upsert all') { Customer.upsert_all([{ name: 'n1', mood: 'high', created_at: Time.at(0), updated_at: Time.at(0) }], unique_by: :name).length }
step('nested') do
  Order.transaction do
    Order.create!(customer: Customer.first, total: 1)
    Order.transaction(requires_new: true) { Order.create!(customer: Customer.first, total: 2); raise ActiveRecord::Rollback }
    Order.count
  end
end
step('nested error') { Order.transaction { begin; Order.transaction(requires_new: true) { Order.create!(customer: Customer.first, total: -1) }; rescue StandardError => e; puts e.message.lines.first; end; Order.count } }
step('joins') { Customer.joins(:orders).group(:mood).count }
step('batches') { n = 0; Customer.find_each(batch_size: 500) { n += 1 }; n }
step('lock') { Customer.transaction { Customer.lock('for update skip locked').find_by(name: 'ada').name } }
step('advisory') { ActiveRecord::Base.connection.get_advisory_lock(7) && ActiveRecord::Base.connection.release_advisory_lock(7) }
step('view') { ActiveRecord::Base.connection.select_value('select n from doubled order by id limit 1') }
step('json') { Customer.where("about ->> 'a' = '1'").count }
step('twice') { Customer.insert!({ name: 'ada', created_at: Time.at(0), updated_at: Time.at(0) }) }
step('tables') { ActiveRecord::Base.connection.tables.sort }
step('columns') { ActiveRecord::Base.connection.columns('customers').map { |c| [c.name, c.sql_type, c.null] } }
step('indexes') { ActiveRecord::Base.connection.indexes('orders').map(&:name) }
step('foreign keys') { ActiveRecord::Base.connection.foreign_keys('orders').map(&:to_table) }
step('dump') { out = StringIO.new; ActiveRecord::SchemaDumper.dump(ActiveRecord::Base.connection, out); out.string.lines.grep(/create_table|t\.|add_/).map(&:strip) }
step('no constraints') { ActiveRecord::Base.connection.disable_referential_integrity { Order.count } }
step('path') { Elsewhere.establish_connection(CONNECTION.merge(schema_search_path: 'elsewhere,public')); [Elsewhere.connection.schema_search_path, Elsewhere.connection.select_value('select count(*) from people')] }
step('settings') { Elsewhere.establish_connection(CONNECTION.merge(variables: { statement_timeout: '5s' }, min_messages: 'warning')); Elsewhere.connection.select_value('show statement_timeout') }
step('levels') { Order.transaction(isolation: :serializable) { Order.count } }
