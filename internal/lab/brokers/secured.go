package brokers

// Secured has a broker talk over TLS alone, and with those alone who say who they are.
type Secured struct {
	Cert, Key string // files of the server's certificate and of its key (PEM), for 127.0.0.1
	CA        string // the file of the authority that these are from. RabbitMQ takes clients by its certificates, too
	// User is the one that there is, and Password what he is known by. Of a certificate he is the common name.
	User, Password string
	// Mutual has it take nobody who shows no certificate of the authority's, whatever he knows.
	Mutual bool
	// Rights says who there is, with what passwords, and what each may do, in the form of nats-server's own file or of
	// RabbitMQ's definitions; empty: User may do everything. Kafka has none.
	Rights string
}
