package hostile

// All returns every attack.
func All() []Attack {
	var all []Attack
	for _, kind := range [][]Attack{
		ofHeaders(), unreadReplies(), largeMessages(), slowOnes(), floods(), idlers(), onAdmin(),
	} {
		all = append(all, kind...)
	}
	return all
}

var onOrderd, onPaymentd = []string{"orderd"}, []string{"paymentd"}

func ofHeaders() []Attack {
	return []Attack{
		{Name: "headers", Does: "15 MiB of headers a call, 64 calls on 4 connections", Run: Headers},
		{Name: "header-bomb", Does: "260,000 headers of one byte a call, 64 calls on 4 connections", Run: HeaderBomb},
		{Name: "keys", Does: "500 metadata keys a call, never the same twice, 2,000 calls", Run: Keys},
		{Name: "names", Does: "unknown methods with names of 4 KiB, never the same twice", Run: Names},
		{Name: "streams", Does: "10,000 streams on one connection", Run: Streams},
		{Name: "streams-many", Does: "10,000 streams on 10 connections", Run: StreamsOfMany},
		{Name: "resets", Does: "calls that are reset at once, as fast as it goes", Run: Resets},
	}
}

func unreadReplies() []Attack {
	return []Attack{
		{
			Name: "unread", Does: "2,000 streams on 1 connection, replies never read",
			On: onPaymentd, Run: Unread,
		},
		{
			Name: "unread-many", Does: "2,000 streams on 100 connections, replies never read",
			On: onPaymentd, Run: UnreadByMany,
		},
		{
			Name: "unread-reflection", Does: "2,000 reflection streams on 2 connections, replies never read",
			Run: UnreadReflection,
		},
		{
			Name: "unread-watches", Does: "4,000 watchers on 2 connections that never read", On: onOrderd,
			Run: UnreadWatches,
		},
		{
			Name: "unread-pages", Does: "2,000 pages of large orders on 4 connections, never read", On: onOrderd,
			Run: UnreadPages,
		},
		{Name: "watchers", Does: "10,000 watchers of an order on 10 connections", On: onOrderd, Run: Watchers},
		{Name: "health", Does: "20,000 watchers of a daemon's health on 20 connections", Run: HealthWatchers},
		{Name: "pages", Does: "32 callers of pages of 1,000 large orders", On: onOrderd, Run: Pages},
	}
}

func largeMessages() []Attack {
	return []Attack{
		{Name: "huge", Does: "messages that say they have 1 GiB, 64 at a time", Run: Huge},
		{
			Name: "empty-items", Does: "a quarter of a million empty commands in 512 KiB, 16 at a time",
			On: onPaymentd, Run: EmptyItems,
		},
		{Name: "bombs", Does: "gzip of 64 MiB of zeros, 64 at a time", Run: Bombs},
		{Name: "dust", Does: "messages in DATA frames of one byte, never ended, 200 streams", Run: Dust},
		{Name: "bodies", Does: "60 KiB of messages that never end, 10,000 streams on 10 connections", Run: Bodies},
	}
}

func slowOnes() []Attack {
	return []Attack{
		{Name: "slow-preface", Does: "a byte of the preface a second, 1,000 connections", Run: SlowPreface},
		{Name: "slow-headers", Does: "a byte of headers a second, 1,000 connections", Run: SlowHeaders},
		{Name: "slow-bodies", Does: "a byte of each message a second, 2,000 calls on 100 connections", Run: SlowBodies},
		{Name: "slow-windows", Does: "one byte of replies taken a second, 1,000 calls", Run: SlowWindows},
	}
}

func floods() []Attack {
	return []Attack{
		{Name: "pings", Does: "pings as fast as it goes, answers never read", Run: Pings},
		{Name: "settings", Does: "settings as fast as it goes", Run: Settings},
		{Name: "windows", Does: "window updates of one byte as fast as it goes", Run: Windows},
		{Name: "empty-frames", Does: "empty DATA and CONTINUATION frames as fast as it goes", Run: EmptyFrames},
	}
}

func idlers() []Attack {
	return []Attack{
		{Name: "idle", Does: "3,000 connections that say nothing", Run: Idle},
		{Name: "idle-preface", Does: "3,000 connections that send the preface and nothing else", Run: IdlePreface},
		{Name: "idle-greeted", Does: "3,000 connections that shake hands and call nobody", Run: IdleGreeted},
		{Name: "garbage", Does: "HTTP/1, TLS and noise, 200 connections at a time", Run: Garbage},
	}
}

func onAdmin() []Attack {
	return []Attack{
		{Name: "admin-slow", Does: "a byte of a request a second, 1,000 connections", Admin: true, Run: AdminSlow},
		{
			Name: "admin-headers", Does: "900 KiB of headers that never end, 400 connections", Admin: true,
			Run: AdminHeaders,
		},
		{
			Name: "admin-unread", Does: "pages of metrics that are never read, 400 connections", Admin: true,
			Run: AdminUnread,
		},
		{Name: "admin-idle", Does: "2,000 connections that asked once and stay", Admin: true, Run: AdminIdle},
		{Name: "admin-profiles", Does: "profiles and traces, 32 at a time", Admin: true, Run: AdminProfiles},
	}
}
