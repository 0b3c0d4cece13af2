module countersign.test/http

go 1.25
