/*
 * src/core/settings.h
 *		The settings voxanne_ops.*, in alphabetical order.
 */
#ifndef VOXANNE_SETTINGS_H
#define VOXANNE_SETTINGS_H

/* Most names that voxanne_ops.databases may hold */
#define VOX_MAX_DATABASES 32

/* Who answers questions about users' tables */
typedef enum VoxExecutor
{
	VOX_EXECUTOR_AUTO,
	VOX_EXECUTOR_SCAN,
	VOX_EXECUTOR_SQL
} VoxExecutor;

/* How reading backups stands against other reading at the storage */
typedef enum VoxIoPriority
{
	VOX_IO_IDLE,
	VOX_IO_LOW,
	VOX_IO_NORMAL
} VoxIoPriority;

extern const char *voxanne_io_priority_name(void);

extern char *voxanne_agent_path;
extern int	voxanne_alert_repeat_critical;	/* seconds */
extern int	voxanne_alert_repeat_warning;	/* seconds */
extern int	voxanne_alert_retention;	/* minutes */
extern bool voxanne_allow_http;
extern char *voxanne_backup_directories;
extern char *voxanne_backup_urls;
extern char *voxanne_barman_config;
extern char *voxanne_barman_program;
extern char *voxanne_ca_file;
extern int	voxanne_clock_offset;
extern char *voxanne_databases;
extern int	voxanne_executor;	/* VoxExecutor */
extern int	voxanne_hash_bits;
extern char *voxanne_heartbeat_url_file;
extern char *voxanne_http_authorization_file;
extern char *voxanne_instance_name;
extern int	voxanne_lock_wait_critical;
extern int	voxanne_lock_wait_warning;
extern int	voxanne_log_retention;	/* minutes */
extern char *voxanne_pgbackrest_config;
extern char *voxanne_pgbackrest_program;
extern int	voxanne_rescan_interval;
extern char *voxanne_s3_credentials_file;
extern char *voxanne_s3_region;
extern char *voxanne_supabase_token_file;
extern int	voxanne_time_budget;	/* milliseconds */
extern int	voxanne_verify_io_priority; /* VoxIoPriority */
extern int	voxanne_verify_jobs;
extern int	voxanne_verify_rate;	/* kB a second, 0: no limit */
extern char *voxanne_walg_config_directory;
extern char *voxanne_walg_program;
extern char *voxanne_webhook_url_file;

extern void voxanne_define_settings(void);

#endif							/* VOXANNE_SETTINGS_H */
