# ActiveRecord, as Debian packages it (ruby-activerecord, ruby-pg): migrations in transactions, nested ones, what its models are used for.
command -v ruby >/dev/null || { echo 'there is no ruby: install ruby-activerecord and ruby-pg'; exit 1; }
ruby -W0 main.rb 2>&1
